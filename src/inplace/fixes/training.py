"""Changes of the order in a training loop: gradients are cleared, clipped and unscaled at another place."""

from __future__ import annotations

import ast
from typing import TypeGuard

from inplace.checks.finding import Finding
from inplace.facts.model import Act, Position
from inplace.facts.source_code import called_name, node_position
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.editing import Edit, behind, in_front_of
from inplace.fixes.rules import runs_backward
from inplace.fixes.statement import Statement, function_around


def clears_after_step(look: Look, finding: Finding) -> Candidates:
    """`opt.zero_grad()` before each backward, or between backward and step, goes behind `opt.step()`."""
    sites = [site for place in finding.culprits if (site := look.site(place)) is not None]
    edits: list[Edit] = []
    for site in sites:
        moved = _behind_step(site)
        if moved is None:
            return
        edits += moved
    if sites and len({site.file for site in sites}) == 1:
        yield Candidate(sites[0], edits, _begins_clear(look, finding) and len(sites) == len(finding.culprits))


def _behind_step(site: Statement) -> list[Edit] | None:
    """The edits that take a line `x.zero_grad()` away, and put it behind the only `x.step()` of its function."""
    statement, source = site.statement, site.source_code
    node = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "zero_grad":
        return None
    if source.block_of(statement) == [statement] or not site.is_one_line:
        return None
    name = ast.unparse(node.func.value)
    steps = [
        one
        for one in source.simple_statements
        if _is_step(one, name) and function_around(source, one) is function_around(source, statement)
    ]
    if len(steps) != 1 or not source.is_alone(node_position(steps[0])):
        return None
    text = source.text_of(statement)
    there = behind(steps[0], f"\n{source.indent_of(steps[0])}{text}")
    gone = Edit(Position(statement.lineno, 0, statement.lineno + 1, 0), "")
    return [gone, there]


def _is_step(statement: ast.stmt, name: str) -> bool:
    node = statement.value if isinstance(statement, ast.Expr) else None
    is_step = isinstance(node, ast.Call) and called_name(node) == "step" and isinstance(node.func, ast.Attribute)
    return (
        is_step
        and isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) == name
    )


def _begins_clear(look: Look, finding: Finding) -> bool:
    """Whether the first clear of each line found no gradient: without it the first turn begins as it did."""
    lines = {place.position.line for place in finding.culprits}
    seen: set[int] = set()
    for act in look.index.trace.acts:
        if act.act is not Act.CLEARED or not act.stack.frames:
            continue
        line = look.index.places.at(act.stack.frames[0], None).position.line
        if line in lines and line not in seen:
            seen.add(line)
            if set(act.found) - {"-", "0"}:
                return False
    return True


def clears_before_backward(look: Look, finding: Finding) -> Candidates:
    """`opt.zero_grad()` before the only backward, where `opt.step()` stands behind it in the same block."""
    first, *others = finding.culprits
    is_one = all(look.index.places.are_one_line(first, place) for place in others)
    site = look.site(first) if is_one else None
    user = look.site(finding.victim.place) if finding.victim is not None else None
    if site is None or user is None or user.file != site.file:
        return
    source, backward, last = site.source_code, site.statement, user.statement
    block = source.block_of(backward)
    name = _stepped(last)
    if name is None or last not in block or not source.is_alone(node_position(backward)):
        return
    between = block[block.index(backward) : block.index(last) + 1]
    stored = {node.id for one in between for node in ast.walk(one) if _is_stored(node)}
    if between and between[-1] is last and name.partition(".")[0] not in stored:
        yield Candidate(site, [in_front_of(backward, f"{name}.zero_grad()\n{source.indent_of(backward)}")], fits=True)


def _stepped(statement: ast.stmt) -> str | None:
    """What a statement `opt.step()` has make a step; None where it is another one, or no plain name."""
    node = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "step":
        return None
    owner = node.func.value
    inner = owner
    while isinstance(inner, ast.Attribute):
        inner = inner.value
    return ast.unparse(owner) if isinstance(inner, ast.Name) and not node.args and not node.keywords else None


def _is_stored(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def clips_later(look: Look, finding: Finding) -> Candidates:
    """A clip before the backward that computes what is clipped goes behind it, with the `if` around it."""
    for _, site in look.culprits(finding):
        if "clip_grad" not in site.source_code.text_of(site.statement):
            continue
        moved: ast.stmt = site.statement
        block = site.source_code.block_of(moved)
        around = site.source_code.statements_around(node_position(moved))
        if len(around) > 1 and isinstance(around[-2], ast.If) and block == [moved] and not around[-2].orelse:
            moved = around[-2]
            block = site.source_code.block_of(moved)
        later = [one for one in block[block.index(moved) + 1 :] if runs_backward(one)]
        source = site.source_code
        if not later or not source.is_alone(node_position(later[0])) or not source.is_alone(node_position(moved)):
            continue
        first, last = moved.lineno, moved.end_lineno or moved.lineno
        text = "\n".join(source.lines[first - 1 : last])
        edits = [Edit(Position(first, 0, last + 1, 0), ""), behind(later[0], f"\n{text}")]
        stepped = any("step" in source.text_of(one) for one in block[block.index(moved) : block.index(later[0])])
        yield Candidate(site, edits, not stepped)


def unscales_first(look: Look, finding: Finding) -> Candidates:
    """`scaler.unscale_(opt)` before a clip of scaled gradients, as `scaler.step(opt)` names them."""
    for _, site in look.culprits(finding):
        source = site.source_code
        if "clip_grad" not in source.text_of(site.statement) or not site.is_one_line:
            continue
        steps = [
            one.value
            for one in source.simple_statements
            if isinstance(one, ast.Expr) and isinstance(one.value, ast.Call) and called_name(one.value) == "step"
        ]
        scaled = [one for one in steps if len(one.args) == 1 and isinstance(one.func, ast.Attribute)]
        texts = {(ast.unparse(one.func), ast.unparse(one.args[0])) for one in scaled}
        if len(texts) != 1:
            continue
        ((scaler, optimizer),) = texts
        edit = in_front_of(
            site.statement, f"{scaler.removesuffix('.step')}.unscale_({optimizer})\n{source.indent_of(site.statement)}"
        )
        yield Candidate(
            site,
            [edit],
            fits=all(
                function_around(source, one) is function_around(source, site.statement)
                for one in source.simple_statements
                if isinstance(one, ast.Expr) and one.value in scaled
            ),
        )

"""Changes of statements that had no effect: a method is called, a result kept, a flag spelled, an option set."""

from __future__ import annotations

import ast

from inplace.checks.finding import Finding
from inplace.facts.source_code import node_position
from inplace.facts.spelling import FLAG, is_nearly_flag
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.editing import behind, in_front_of, in_place_of
from inplace.fixes.statement import Statement
from inplace.reading.source.code import root_of

_WITHOUT_ARGUMENTS = frozenset(
    [
        "step",
        "zero_grad",
        "backward",
        "zero_",
        "detach_",
        "requires_grad_",
        "relu_",
        "sigmoid_",
        "tanh_",
        "abs_",
        "neg_",
    ]
)


def calls_method(look: Look, finding: Finding) -> Candidates:
    """`opt.zero_grad` -> `opt.zero_grad()`, `net.requires_grad = False` -> `net.requires_grad_(False)`."""
    for _, site in look.culprits(finding):
        statement, source = site.statement, site.source_code
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Attribute):
            attribute = statement.value.attr
            yield Candidate(site, [behind(statement.value, "()")], fits=attribute in _WITHOUT_ARGUMENTS)
            continue
        target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
        if not isinstance(target, ast.Attribute) or not isinstance(statement, ast.Assign):
            continue
        value, held = source.text_of(statement.value), source.text_of(target.value)
        is_flag = isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, bool)
        if is_nearly_flag(target.attr) and target.attr != FLAG:
            fits = is_flag and _is_of_parameters(site, held) and _leaves_others(look, site, off=value == "False")
            yield Candidate(site, [in_place_of(statement, f"{held}.{FLAG} = {value}")], fits)
            continue
        method = target.attr if target.attr.endswith("_") else f"{target.attr}_"
        text = f"{held}.{method}({'' if method == 'zero_' else value})"
        fits = is_flag and method == f"{FLAG}_" and _leaves_a_path(look, finding, off=value == "False")
        yield Candidate(site, [in_place_of(statement, text)], fits)


def _leaves_a_path(look: Look, finding: Finding, *, off: bool) -> bool:
    """Whether every backward still goes to a leaf where some no longer require grad."""
    nodes = look.index.trace.node_by_id
    frozen = {*finding.tensors()} if off else set()
    for walk in look.index.trace.walks:
        leaves = {nodes[node].leaf for node in walk.reached} - {None} if walk.is_backward else set()
        if leaves and leaves <= frozen:
            return False
    return True


def _loop_over(site: Statement, name: str) -> ast.expr | None:
    """What the loop around a statement goes over whose variable a name is."""
    around = site.source_code.statements_around(node_position(site.statement))
    loops = [one for one in around if isinstance(one, ast.For)]
    return next((one.iter for one in reversed(loops) if name in _names(one.target)), None)


def _names(target: ast.expr) -> set[str]:
    return {one.id for one in ast.walk(target) if isinstance(one, ast.Name)}


def _is_of_parameters(site: Statement, name: str) -> bool:
    """Whether a name stands for the parameters of a module, one after the other."""
    over = _loop_over(site, name)
    return over is not None and "parameters()" in ast.unparse(over)


def _leaves_others(look: Look, site: Statement, *, off: bool) -> bool:
    """Whether every backward goes to a leaf too that is none of the module whose parameters are switched off."""
    target = site.statement.targets[0] if isinstance(site.statement, ast.Assign) else None
    over = _loop_over(site, ast.unparse(target.value)) if isinstance(target, ast.Attribute) else None
    if over is None or not off:
        return not off
    module = ast.unparse(over).partition(".parameters()")[0].partition(".named_parameters()")[0]
    last = module.rpartition(".")[2]
    nodes = look.index.trace.node_by_id
    for walk in look.index.trace.walks:
        leaves = (
            {leaf for node in walk.reached if (leaf := nodes[node].leaf) is not None} if walk.is_backward else set()
        )
        named = [look.index.names.of(leaf) for leaf in leaves]
        if leaves and all(any(last in name.split(".") for name in names) or not names for names in named):
            return False
    return True


# ---------------------------------------------------------------- results


def keeps_result(look: Look, finding: Finding) -> Candidates:
    """`scores.masked_fill(mask, 0)` on a line of its own -> `scores = scores.masked_fill(mask, 0)`."""
    for _, site in look.culprits(finding):
        statement = site.statement
        call = statement.value if isinstance(statement, ast.Expr) else None
        given = (node for node in ast.walk(statement) if isinstance(node, ast.Name | ast.Attribute))
        held = next((node for node in given if finding.names and ast.unparse(node) == finding.names[0]), None)
        if not isinstance(call, ast.Call) or held is None:
            continue
        text = site.source_code.text_of(held)
        states = [look.index.history.last_state(one) for one in finding.tensors()]
        leaf = any(state is None or (state.is_leaf and state.requires_grad) for state in states)
        fits = isinstance(held, ast.Name) and not leaf and not _has_other_names(look, finding, site, text)
        yield Candidate(site, [in_front_of(statement, f"{text} = ")], fits)


def _has_other_names(look: Look, finding: Finding, site: Statement, name: str) -> bool:
    """Whether another name of a tensor is read where it may be run after a statement: it would have the old one."""
    ownership = look.ownership(site, [])
    names = {one for tensor in finding.tensors() for one in look.index.names.of(tensor)}
    others = {one for one in names if root_of(one) != name}
    return any(ownership.is_loaded_later(one) for one in others)


def sets_option(look: Look, finding: Finding) -> Candidates:
    """`opt.lr = 0.1` -> the same of each of `opt.param_groups`, where the optimizer reads it."""
    for _, site in look.culprits(finding):
        statement, source = site.statement, site.source_code
        target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
        if isinstance(target, ast.Attribute) and isinstance(statement, ast.Assign):
            name = "lr" if target.attr == "learning_rate" else target.attr
            held, indent = source.text_of(target.value), source.indent_of(statement)
            text = f'for group in {held}.param_groups:\n{indent}    group["{name}"] = {source.text_of(statement.value)}'
            fits = "group" not in source.names and held not in ast.unparse(statement.value)
            yield Candidate(site, [in_place_of(statement, text)], fits)

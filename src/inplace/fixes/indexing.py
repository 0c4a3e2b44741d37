"""Changes of writes that went into a copy of some elements: the tensor itself is indexed, once, on the left."""

from __future__ import annotations

import ast

from inplace.checks.finding import Finding
from inplace.facts.called import ItemWrite, item_write
from inplace.facts.source_code import SourceCode, called_name
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.editing import behind, in_front_of, in_place_of
from inplace.fixes.rules import has_twin, without_out
from inplace.fixes.statement import Statement, written_expression

_OPERATORS = {"add_": "+=", "sub_": "-=", "mul_": "*=", "div_": "/="}
_SETTING = {"fill_": 1, "copy_": 1}
_SAME_ORDER = frozenset({"contiguous"})  # what gives out the tensor itself but for the order of its bytes
_PART = "part"


def indexes_once(look: Look, finding: Finding) -> Candidates:
    """`x[i].sub_(m)` -> `x[i] -= m`, `x[mask][:, 0] = v` -> `x[mask, 0] = v`, and a named copy is assigned back."""
    if not finding.culprits:
        return
    site = look.site(finding.culprits[0])
    if site is None:
        return
    fits = all(look.may_be_written(tensor, finding.culprits[0].step) for tensor in finding.tensors())
    made = look.site(finding.culprits[-1])
    if made is not None and made.statement is not site.statement:
        yield from _assigned_back(site, made, fits=fits)
    elif isinstance(site.statement, ast.Assign | ast.AugAssign):
        yield from _assigned(site, fits=fits)
    elif isinstance(site.statement, ast.Expr) and isinstance(site.statement.value, ast.Call):
        yield from _called(site, site.statement.value, fits=fits)


# ---------------------------------------------------------------- item assignments


def _assigned(site: Statement, *, fits: bool) -> Candidates:
    """`x[mask][:, 0] = v` -> `x[mask, 0] = v`; else three statements, which take, change and put back."""
    statement, source = site.statement, site.source_code
    target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
    if not isinstance(target, ast.Subscript):
        return
    inner = _indexed(source, target.value)
    if inner is None:
        return
    held, first, is_tuple = inner
    rest = _merged(source, target.slice)
    if rest is not None and not is_tuple:
        yield Candidate(site, [in_place_of(target, f"{held}[{', '.join([first, *rest])}]")], fits)
        return
    if any(isinstance(one, ast.Call) for one in ast.walk(target.value)) or _PART in source.names:
        return
    indent = source.indent_of(statement)
    after = source.text_of(statement).removeprefix(source.text_of(target.value))
    lines = [f"{_PART} = {held}[{first}]", f"{_PART}{after}", f"{held}[{first}] = {_PART}"]
    yield Candidate(site, [in_place_of(statement, f"\n{indent}".join(lines))], fits)


def _indexed(source: SourceCode, node: ast.expr) -> tuple[str, str, bool] | None:
    """What is indexed, and by what, as texts, and whether by several: `x` and `mask` of `x[mask]`."""
    if isinstance(node, ast.Subscript):
        return source.text_of(node.value), source.text_of(node.slice), isinstance(node.slice, ast.Tuple)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.keywords:
        held = source.text_of(node.func.value)
        given = [source.text_of(one) for one in node.args]
        if node.func.attr == "masked_select" and len(given) == 1:
            return held, given[0], False
        if node.func.attr == "index_select" and given[:1] == ["0"] and len(given) > 1:
            return held, given[1], False
    return None


def _merged(source: SourceCode, index: ast.expr) -> list[str] | None:
    """The further indices of what was indexed along its first dimension, whose own index is `:`; None for others."""
    rest = _beside_whole(index.elts if isinstance(index, ast.Tuple) else [index])
    return None if rest is None else [source.text_of(one) for one in rest]


def _beside_whole(parts: list[ast.expr]) -> list[ast.expr] | None:
    first, *rest = parts
    whole = isinstance(first, ast.Slice) and first.lower is None and first.upper is None and first.step is None
    plain = all(isinstance(one, ast.Slice) or _is_number(one) for one in rest)
    return rest if whole and plain else None


def _is_number(node: ast.expr) -> bool:
    node = node.operand if isinstance(node, ast.UnaryOp) else node
    return isinstance(node, ast.Constant) and (isinstance(node.value, int) or node.value is Ellipsis)


# ---------------------------------------------------------------- in-place methods


def _called(site: Statement, call: ast.Call, *, fits: bool) -> Candidates:
    """`x[i].add_(v)` -> `x[i] += v`, `x[i].relu_()` -> `x[i] = x[i].relu()`, `x[i].zero_()` -> `x[i] = 0`."""
    source = site.source_code
    item = item_write(call)
    if item is not None:
        yield from _item_called(site, item, fits=fits)
        return
    written = written_expression(call)
    if written is None:
        return
    plain = written.func.value if isinstance(written, ast.Call) and isinstance(written.func, ast.Attribute) else None
    if plain is not None and isinstance(written, ast.Call) and called_name(written) in _SAME_ORDER:
        yield Candidate(site, [in_place_of(written, source.text_of(plain))], fits)
        return
    place = _place(source, written)
    if place is None:
        return
    method = called_name(call)
    given = [source.text_of(one) for one in call.args]
    direct = isinstance(call.func, ast.Attribute) and call.func.value is written and not call.keywords
    if direct and method in _OPERATORS and len(given) == 1:
        text = f"{place} {_OPERATORS[method]} {given[0]}"
    elif direct and method in _SETTING and len(given) == 1:
        text = f"{place} = {given[0]}"
    elif direct and method == "zero_":
        text = f"{place} = 0"
    else:
        out = without_out(call)
        if out is not None:
            yield Candidate(site, [in_front_of(site.statement, f"{place} = "), *out[1]], fits)
            return
        text = f"{place} = {_new_value(source, call, written, place)}"
    yield Candidate(site, [in_place_of(site.statement, text)], fits)


def _item_called(site: Statement, item: ItemWrite, *, fits: bool) -> Candidates:
    """`x[mask].__setitem__((slice(None), 0), v)` -> `x[mask, 0] = v`."""
    source, inner = site.source_code, _indexed(site.source_code, item.held)
    rest = [] if inner is None else _beside_whole(item.parts)
    if inner is None or rest is None or inner[2]:
        return
    indices = [inner[1], *map(ast.unparse, rest)]
    yield Candidate(
        site, [in_place_of(site.statement, f"{inner[0]}[{', '.join(indices)}] = {source.text_of(item.value)}")], fits
    )


def _place(source: SourceCode, written: ast.expr) -> str | None:
    """The elements that were to be written, as an item to assign to: `x[i]`, `x[mask, 0]` of `x[mask][:, 0]`."""
    inner = _indexed(source, written.value) if isinstance(written, ast.Subscript) else None
    if inner is not None and isinstance(written, ast.Subscript):
        held, first, is_tuple = inner
        rest = _merged(source, written.slice)
        return None if rest is None or is_tuple else f"{held}[{', '.join([first, *rest])}]"
    own = _indexed(source, written)
    return None if own is None else f"{own[0]}[{own[1]}]"


def _new_value(source: SourceCode, call: ast.Call, written: ast.expr, place: str) -> str:
    """The text of a call that writes in place, with its methods out of place where all of them have such a form."""
    text = source.text_of(call).replace(source.text_of(written), place, 1)
    links = [one.attr for one in ast.walk(call) if isinstance(one, ast.Attribute) and one.attr.endswith("_")]
    for link in links if all(map(has_twin, links)) else ():
        text = text.replace(f"{link}(", f"{link[:-1]}(", 1)
    return text


# ---------------------------------------------------------------- under a name


def _assigned_back(site: Statement, made: Statement, *, fits: bool) -> Candidates:
    """`rows = x[i]` and `rows.mul_(2)` -> the same, and `x[i] = rows` behind it."""
    source, statement = site.source_code, made.statement
    value = statement.value if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
    inner = _indexed(source, value) if value is not None else None
    if inner is None or not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
        return
    block = source.block_of(site.statement)
    held, first, _ = inner
    name = statement.targets[0].id
    if site.file != made.file or statement not in block or any(isinstance(n, ast.Call) for n in ast.walk(value)):  # type: ignore[arg-type]  # there is one
        return
    between = block[block.index(statement) : block.index(site.statement) + 1]
    wanted = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)}  # type: ignore[arg-type]  # there is one
    stored = {n.id for s in between for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    later = block[block.index(site.statement) + 1 :]
    again = any(name in {n.id for n in ast.walk(one) if isinstance(n, ast.Name)} for one in later)
    edit = behind(site.statement, f"\n{source.indent_of(site.statement)}{held}[{first}] = {name}")
    yield Candidate(site, [edit], fits and not wanted & stored and not again)

"""Changes that keep apart what shared bytes by mistake: items of a list, snapshots, the two ends of a swap."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from inplace.checks.finding import Finding
from inplace.fixes.editing import Edit, Editor, end_of, start_of
from inplace.fixes.rules import Edits, cloned
from inplace.fixes.statement import Statement
from inplace.reading.index import Index

_KEEPING = frozenset({"append", "add", "insert", "appendleft", "setdefault"})


def kept_apart(index: Index, finding: Finding, *, swapped: bool) -> Iterator[tuple[Statement, Edits]]:
    """Copies where an item was stored, or where the other end of a swap is read."""
    roots = {name.partition("[")[0].partition(".")[0] for name in finding.names}
    for file in dict.fromkeys(place.file for place in finding.culprits):
        source = next((one for one in index.trace.sources if one.file == file and one.text), None)
        if source is None:
            continue
        editor = Editor(source)
        lines = {place.position.line for place in finding.culprits if place.file == file}
        for statement in ast.walk(editor.tree):
            if not isinstance(statement, ast.stmt) or hasattr(statement, "body") or not editor.is_alone(statement):
                continue
            if swapped:
                found = list(_swapped(editor, statement)) if statement.lineno in lines else []
            else:
                found = [*_repeated(editor, statement, roots), *_stored(editor, statement, roots)]
            for edits in found:
                yield Statement(editor, statement, None), edits


def _swapped(editor: Editor, statement: ast.stmt) -> Iterator[Edits]:
    """`x[0], x[1] = x[1], x[0]` -> `x[0], x[1] = x[1].clone(), x[0].clone()`."""
    if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Tuple):
        yield [cloned(editor, one) for one in statement.value.elts]


def _repeated(editor: Editor, statement: ast.stmt, roots: set[str]) -> Iterator[Edits]:
    """`slots = [torch.zeros(2)] * 3` -> `slots = [torch.zeros(2) for _ in range(3)]`."""
    if not isinstance(statement, ast.Assign) or not _names_one(statement.targets[0], roots):
        return
    value = statement.value
    if not isinstance(value, ast.BinOp) or not isinstance(value.op, ast.Mult):
        return
    items, times = (value.left, value.right) if isinstance(value.left, ast.List) else (value.right, value.left)
    if isinstance(items, ast.List) and len(items.elts) == 1:
        (item,) = items.elts
        made = editor.text_of(item) if isinstance(item, ast.Call) else f"{editor.text_of(item)}.clone()"
        text = f"[{made} for _ in range({editor.text_of(times)})]"
        yield [Edit(start_of(value), end_of(value), text)]


def _stored(editor: Editor, statement: ast.stmt, roots: set[str]) -> Iterator[Edits]:
    """`history.append(w)` -> `history.append(w.clone())`, `best = net.state_dict()` -> a dictionary of copies."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        call = statement.value
        function = call.func
        if isinstance(function, ast.Attribute) and function.attr in _KEEPING and _names_one(function.value, roots):
            yield [cloned(editor, one) for one in call.args[-1:]]
    elif isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
        text = editor.text_of(statement.value)
        if text.endswith(".state_dict()") and _names_one(statement.targets[0], roots):
            copies = f"{{key: value.clone() for key, value in {text}.items()}}"
            yield [Edit(start_of(statement.value), end_of(statement.value), copies)]
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Subscript):
        target, value = statement.targets[0], statement.value
        if _names_one(target.value, roots) and isinstance(value, ast.Name | ast.Attribute | ast.Call):
            yield [cloned(editor, value)]


def _names_one(node: ast.expr, roots: set[str]) -> bool:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return isinstance(node, ast.Name) and node.id in roots

"""Writes into arrays and lists that were copied from a tensor, which nobody reads again: `x.numpy().copy()[0] = v`.

What numpy does is no recorded call. That a copy was made, and written to, is read of the source; which tensor it was
made of is known from the call that handed it out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Call, Kind, Position
from inplace.facts.source_code import called_name, node_position
from inplace.reading.source.code import Code
from inplace.reading.source.flow import is_read_below
from inplace.reading.trace.idle import is_shown_or_tried
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

_COPIES = frozenset({"copy", "astype", "flatten", "tolist", "array"})  # always, with the exception of `copy=False`
_VIEWS = frozenset({"reshape", "view", "ravel", "transpose", "squeeze", "swapaxes", "numpy", "asarray"})
_WRITES = frozenset({"fill", "sort", "put", "partition", "append", "extend", "insert", "reverse", "clear"})
_PARTS = frozenset({"T", "real", "flat"})
_GIVING = frozenset({"numpy", "__array__", "tolist"})


@dataclass(frozen=True, slots=True)
class ArrayCopy:
    """A copy that was written and dropped: the call that handed out what it was made of, and what made it.

    `places` are the write, and where a named copy was made.
    """

    call: Call
    places: tuple[Place, ...]
    function: str


def lost_array_copies(index: Index) -> Iterator[ArrayCopy]:
    """Yield writes into copies that die with their statement, or stand under a name that is only written to."""
    columns = index.history.columns
    told: set[tuple[int, Position]] = set()
    for step in columns.steps_of(lambda function: function.label in _GIVING):
        stack = columns.stacks[columns.stack[step]]
        site = index.places.site(stack.frames[0]) if stack.frames else None
        if site is None or (site.source, site.position) in told:
            continue
        told.add((site.source, site.position))
        call, code = index.trace.calls[step], index.places.codes[site.source]
        if call.function.kind not in {Kind.EXPORT, Kind.TO_PYTHON} or not call.inputs or call.raised is not None:
            continue
        found = _written(index, code, call, site.position)
        if found is not None:
            statements, function = found
            here = index.places.at(stack.frames[0], step)
            at = [index.places.beside(here, node_position(one)) for one in statements]
            yield ArrayCopy(call, tuple(at), function)


def _written(index: Index, code: Code, call: Call, position: Position) -> tuple[list[ast.stmt], str] | None:
    """The statements that write to a copy of what a range gives out, and what made the copy."""
    statement = code.statement(position)
    if statement is None or is_shown_or_tried(code, statement):
        return None
    target = _target(statement)
    if target is not None:
        copy = _copy_of(target, position)
        return None if copy is None else ([statement], copy)
    named = isinstance(statement, ast.Assign) and len(statement.targets) == 1
    name = statement.targets[0] if isinstance(statement, ast.Assign) and named else None
    copy = _copy_of(statement.value, position) if isinstance(statement, ast.Assign) else None
    if copy is None or not isinstance(name, ast.Name) or index.trace.is_session or index.trace.goes_on:
        return None
    function = code.source_code.function_around(position)
    others = [one for one in code.source_code.mentioning(name.id, function) if one is not statement]
    if not others or any(code.written_name(one) != name.id or not _is_item(one) for one in others):
        return None
    others.sort(key=lambda one: node_position(one).start)
    is_read = _is_read_after(index, code, call, node_position(others[-1]))
    return ([*others, statement], copy) if is_read else None


def _is_item(statement: ast.stmt) -> bool:
    """Whether a statement writes to items of a name, as against to another value under it."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
    return isinstance(target, ast.Subscript)


def _is_read_after(index: Index, code: Code, call: Call, position: Position) -> bool:
    """Whether somebody reads the tensor behind a write: he may expect to find it there."""
    tensor = index.trace.states[call.inputs[0].before].tensor
    name = index.spelled.text(call, call.inputs[0].path)
    return index.history.sightings[tensor][-1][0] > call.step or is_read_below(code, name or "", position)


def _target(statement: ast.stmt) -> ast.expr | None:
    """What a statement writes to, where it does no more: of which an item is set, or a method changes it."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        method = statement.value.func
        return method.value if isinstance(method, ast.Attribute) and method.attr in _WRITES else None
    target: ast.expr | None = None
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
    elif isinstance(statement, ast.AugAssign):
        target = statement.target
    return target.value if isinstance(target, ast.Subscript) else None


def _copy_of(node: ast.expr, position: Position) -> str | None:
    """The name of the outermost call that makes a copy of what a range gives out; None where it may be no copy."""
    made = None
    while True:
        own = node_position(node) == position
        if isinstance(node, ast.Call):
            name = called_name(node)
            if name in _COPIES and not any(one.arg == "copy" for one in node.keywords):
                made = made or name
            elif name not in _VIEWS and not own:
                return None
            of_module = name in {"array", "asarray"} or ast.unparse(node.func) in {"np.copy", "numpy.copy"}
            inner = node.args[0] if of_module and node.args else None
            if inner is None and isinstance(node.func, ast.Attribute):
                inner = node.func.value
        elif isinstance(node, ast.Subscript) or (isinstance(node, ast.Attribute) and node.attr in _PARTS):
            inner = node.value
        else:
            return None
        if own:
            return made
        if inner is None:
            return None
        node = inner

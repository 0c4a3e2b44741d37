"""What a function changed in place and gave back, and its caller keeps twice: as the result and as the argument."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from inplace.facts.model import Stack, StackFrame
from inplace.facts.source_code import FUNCTIONS, node_position
from inplace.reading.sharing.kept_objects import KeptObject
from inplace.reading.source.bindings import argument_of
from inplace.reading.source.code import Code, leaves_kept_by
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.origins import Origins
from inplace.reading.trace.spelled import is_path

_DEEPEST = 4  # frames of a write in which the function may be that gave back what it wrote


def kept_twice(index: Index, origins: Origins) -> Iterator[KeptObject]:
    """Yield the tensors that a caller keeps as the result of a function, and then as what it was before the call."""
    seen: set[Stack] = set()
    for write in index.history.writes:
        stack = write.call.stack
        if stack in seen or write.call.raised is not None:
            continue
        seen.add(stack)
        for inner, outer in zip(stack.frames[:_DEEPEST], stack.frames[1:], strict=False):
            found = _kept(index, origins, write, inner, outer)
            if found is not None:
                yield found
                break


def _kept(index: Index, origins: Origins, write: Write, inner: StackFrame, outer: StackFrame) -> KeptObject | None:
    """What the caller of a function keeps twice, where that function gives back a parameter that it wrote to."""
    site, caller = index.places.site(inner), index.places.site(outer)
    function = index.places.codes[site.source].source_code.function_around(site.position)
    code = index.places.codes[caller.source]
    node = code.source_code.node(caller.position)
    if (
        not isinstance(function, FUNCTIONS)
        or (function.name.endswith("_") and not function.name.endswith("__"))
        or not isinstance(node, ast.Call)
    ):
        return None
    parameter = _written(index, origins, write, inner, function)
    given = argument_of(function, parameter, node) if parameter is not None else None
    if parameter is None or given is None or not is_path(given) or not _gives_back(function, parameter):
        return None
    statement = code.statement(caller.position)
    again = _kept_again(code, statement, node, ast.unparse(given)) if statement is not None else None
    if again is None or statement is None:
        return None
    keep, reader = (index.places.in_source(caller.source, node_position(one)) for one in (statement, again))
    return KeptObject(keep, write.call, reader, write.before, ast.unparse(given))


def _written(index: Index, origins: Origins, write: Write, frame: StackFrame, function: ast.stmt) -> str | None:
    """The parameter of a function that a write in it writes to, by its name or by that of a loop over it."""
    node = index.spelled.of(write.call).get(write.argument.path) if write.call.stack.frames[0] == frame else None
    while isinstance(node, ast.Subscript):
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    bound = origins.bindings(index.places.site(frame).source).names.get((function, node.id), ())
    over = [one.value.id for one in bound if one.items and isinstance(one.value, ast.Name)]
    return over[0] if over else None if bound else node.id


def _gives_back(function: ast.stmt, parameter: str) -> bool:
    """Whether a function returns a parameter, or that with in-place calls behind it."""
    for statement in ast.walk(function):
        value = statement.value if isinstance(statement, ast.Return) else None
        while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr.endswith("_"):
            value = value.func.value
        if isinstance(value, ast.Name) and value.id == parameter:
            return True
    return False


def _kept_again(code: Code, statement: ast.stmt, call: ast.Call, text: str) -> ast.stmt | None:
    """The statement, not above one that keeps the result of a call, that keeps what the call was given."""
    if not any(one is call for one in _leaves(statement)) or text in code.targets(node_position(statement)):
        return None
    at = node_position(statement)
    function = code.source_code.function_around(at)
    for one in sorted(code.source_code.simple_statements, key=lambda other: node_position(other).start):
        here = node_position(one)
        if here.start < at.start or code.source_code.function_around(here) is not function:
            continue
        if any(ast.unparse(leaf) == text for leaf in _leaves(one)):
            return one
        if one is not statement and text in code.targets(here):
            return None  # from here on the name is of something else
    return None


def _leaves(statement: ast.stmt) -> list[ast.expr]:
    """What a statement keeps, or returns as parts of something."""
    if isinstance(statement, ast.Return) and isinstance(statement.value, ast.Tuple | ast.Dict | ast.List):
        value = statement.value
        return [one for one in (value.values if isinstance(value, ast.Dict) else value.elts) if one is not None]
    return leaves_kept_by(statement)

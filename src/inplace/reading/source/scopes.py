"""Whether a variable that one statement gives a value still has it where another reads it, by the text of both."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from inplace.facts.model import Position
from inplace.facts.source_code import FUNCTIONS, LOOPS, SourceCode, node_position
from inplace.reading.source.code import Code


def sees(code: Code, position: Position, name: str, function: ast.stmt | None) -> bool:
    """Whether a name at some place is the variable of a function, or of the module for None.

    It is there, and in the functions within that have no variable of this name themselves.
    """
    at: ast.stmt | None = code.source_code.function_around(position)
    while at is not function:
        if at is None or name in code.own_names(at):
            return False
        at = code.source_code.function_around(node_position(at))
    return True


def may_be_bound_between(code: Code, name: str, given: ast.stmt, read: ast.stmt) -> bool:
    """Whether another statement may give a name another value after `given` has, and before `read` reads it.

    It may not where it stands before both, or behind both, and comes again in no loop with the first; or in another
    branch of the same `if`.
    """
    source = code.source_code
    first, last = node_position(given).start, node_position(read).start
    function = source.function_around(node_position(given))
    loop = _loop_of(source, given)
    is_near = source.function_around(node_position(read)) is function
    for one in _binding(source, name):
        if one is given or not sees(code, node_position(one), name, function):
            continue
        start = node_position(one).start
        in_loop = loop is not None and node_position(loop).holds(node_position(one))
        if not (
            (start < first and not in_loop)
            or (is_near and first < last < start)
            or _are_alternatives(source, given, one)
        ):
            return True
    return False


def _binding(code: SourceCode, name: str) -> Iterator[ast.stmt]:
    """The statements that bind a variable, or an attribute or item of that text."""
    nodes = code.names.get(name, ()) if name.isidentifier() else code.nodes
    for node in nodes:
        if isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            statement = code.statement(node_position(node)) if ast.unparse(node) == name else None
            if statement is not None:
                yield statement


def _loop_of(code: SourceCode, statement: ast.stmt) -> ast.stmt | None:
    """The outermost loop of its function that a statement stands in."""
    around = code.statements_around(node_position(statement))
    inside = [place for place, one in enumerate(around) if isinstance(one, FUNCTIONS)]
    return next((one for one in around[max(inside, default=-1) + 1 :] if isinstance(one, LOOPS)), None)


def _are_alternatives(code: SourceCode, one: ast.stmt, other: ast.stmt) -> bool:
    """Whether two statements stand in different branches of one `if`."""
    others = code.statements_around(node_position(other))
    for around in code.statements_around(node_position(one)):
        if isinstance(around, ast.If) and around in others:
            mine = [any(node is one for node in ast.walk(branch)) for branch in around.body]
            theirs = [any(node is other for node in ast.walk(branch)) for branch in around.body]
            if any(mine) != any(theirs):
                return True
    return False

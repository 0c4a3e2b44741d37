"""Changes of lines that keep a result in a tensor for the next turn (a memory bank, a queue): its values only."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from inplace.facts.called import given_to, item_write, method_called
from inplace.facts.model import Call, TensorState
from inplace.facts.source_code import node_position
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.editing import in_place_of
from inplace.fixes.rules import operand
from inplace.fixes.statement import Statement
from inplace.reading.source.code import Code

_VALUE = {"copy_": 1, "index_copy_": 3}  # where a method is given what it keeps
_WRITING = frozenset({"__setitem__", "copy_", "index_copy_"})
_PUTTING = frozenset({"append", "appendleft"})


def detaches_kept(look: Look, first: Call, second: Call, *, fits: bool) -> Candidates:
    """`bank[i] = z` behind a backward -> `bank[i] = z.detach()`, where nothing else takes what that has freed.

    No gradient is lost: all that could flow through `z` from there on would go through the graph that is freed.
    """
    places = look.index.places
    taken = list(_taken(look, first, second))
    taking = [call for call, _ in taken]
    statements = {places.statement_of(call) for call in taking}
    place = places.of(taking[0]) if taking else None
    if len(statements) != 1 or place is None:
        return
    source = places.code(place).source_code
    statement = source.statement(place.position)
    value = None if statement is None else _kept(statement, taken)
    if value is None:
        statement, value = _put(look, second, taken)
    if statement is not None and value is not None and source.is_alone(node_position(statement)):
        site = Statement(place.file, places.code(place), statement, None)
        yield Candidate(site, [in_place_of(value, f"{operand(source, value)}.detach()")], fits)


def _taken(look: Look, first: Call, second: Call) -> Iterator[tuple[Call, set[str]]]:
    """The calls between two backwards that are given results from before the first, and record what they do; where."""
    begin, states = look.index.history.columns.nodes_start[first.step], look.index.trace.states
    for step in range(first.step + 1, second.step):
        call = look.index.trace.calls[step]
        paths = {one.path for one in call.inputs if _is_of_before(states[one.before], begin)} if call.nodes else set()
        if paths:
            yield call, paths


def _is_of_before(state: TensorState, begin: int) -> bool:
    return state.requires_grad and not state.is_leaf and state.node is not None and state.node < begin


def _kept(statement: ast.stmt, taken: list[tuple[Call, set[str]]]) -> ast.expr | None:
    """The value that a statement writes into a tensor, and does no more with; None where it is taken for the target."""
    written = item_write(statement)
    value = None if written is None else written.value
    if written is None and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        number = _VALUE.get(method_called(statement.value))
        given = given_to(statement.value)
        value = given[number] if number is not None and number < len(given) else None
    is_named = any(isinstance(one, ast.NamedExpr | ast.Await) for one in ast.walk(statement))
    is_target = any(call.function.label in _WRITING and "0" in paths for call, paths in taken)
    return None if is_named or is_target else value


def _put(look: Look, second: Call, taken: list[tuple[Call, set[str]]]) -> tuple[ast.stmt | None, ast.expr | None]:
    """The one statement behind the backward that appends a variable to the list whose items are taken, and that."""
    places, place = look.index.places, look.index.places.of(taken[0][0])
    backward = places.of(second)
    roots = {look.index.spelled.text(call, path.partition("[")[0]) for call, paths in taken for path in paths}
    if place is None or backward is None or len(roots) != 1 or not places.are_in_one_source(place, backward):
        return None, None
    code = places.code(place)
    source, (name,) = code.source_code, roots
    puts = [source.statement(one) for one in code.items_put_into(frozenset({name or ""}))]
    statement, after = puts[0] if len(puts) == 1 else None, source.statement(backward.position)
    call = statement.value if isinstance(statement, ast.Expr) else None
    if statement is None or after is None or not isinstance(call, ast.Call) or len(call.args) != 1:
        return None, None
    block, value = source.block_of(after), call.args[0]
    is_behind = statement in block and block.index(statement) > block.index(after)
    is_item = all("[" in path for _, paths in taken for path in paths)
    is_kept = isinstance(value, ast.Name | ast.Attribute) and method_called(call) in _PUTTING
    return (statement, value) if is_behind and is_item and is_kept else (None, None)


def written_into(code: Code, statement: ast.stmt) -> str | None:
    """The variable that a statement writes items of, where its function may give it another value."""
    written = item_write(statement)
    if written is None or not isinstance(written.held, ast.Name | ast.Attribute):
        return None
    function, held = code.source_code.function_around(node_position(statement)), written.held
    if function is None or not isinstance(held, ast.Name):
        return ast.unparse(held)
    return held.id if held.id in code.own_names(function) else None

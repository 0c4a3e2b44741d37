"""Arguments that a function of the user's changes from their old values and gives back, each time that it is called.

`loss = criterion(net(x), smooth(y))` changes `y` once more in each turn. Whether that is meant nobody knows.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from inplace.facts.model import Call
from inplace.facts.source_code import FUNCTIONS, node_position
from inplace.reading.sharing.arguments import SETTING, WrittenArgument
from inplace.reading.source.bindings import argument_of, parameters_of
from inplace.reading.source.code import Code
from inplace.reading.trace.changes import SPARING
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index


def changed_again(index: Index) -> Iterator[WrittenArgument]:
    """Yield the first write of each line to an argument that had been changed by it before, and the second."""
    asked: dict[object, str | None] = {}
    first: dict[object, Write] = {}
    last: dict[object, int] = {}  # up to which step a loop of the function itself was seen to write
    told: set[object] = set()
    for write in index.history.writes:
        call = write.call
        if call.function.label in SETTING | SPARING or call.raised is not None or len(call.stack.frames) <= 1:
            continue
        if call.stack not in asked:
            asked[call.stack] = _handed(index, call)
        shown, outer = asked[call.stack], call.stack.frames[1:]
        if shown is None or (outer, write.before.tensor) in told or call.within is not None:
            continue
        key = call.stack, write.before.tensor
        earlier = first.setdefault(key, write)
        if earlier is write or _are_of_one_run(index, last[key], write):
            last[key] = call.step
        else:
            told.add((outer, write.before.tensor))
            yield WrittenArgument(index.places.at(call.stack.frames[1], call.step), earlier, call, shown)


def _are_of_one_run(index: Index, last: int, write: Write) -> bool:
    """Whether a loop of the function itself writes again and again: its caller has called it once."""
    outer = write.call.stack.frames[1:]
    between = index.history.columns.stack[last + 1 : write.call.step]
    stacks = index.history.columns.stacks
    return all(stacks[number].frames[-len(outer) :] == outer for number in between)


def _handed(index: Index, call: Call) -> str | None:
    """The variable that a caller handed to a function which writes and gives it back; not `h = decay(h)`, nor state."""
    inner, outer = (index.places.site(frame) for frame in call.stack.frames[:2])
    code, calling = index.places.codes[inner.source], index.places.codes[outer.source]
    function = code.source_code.function_around(inner.position)
    node, statement = index.places.node_at(call.stack.frames[1]), calling.statement(outer.position)
    line = code.statement(inner.position)
    written = code.written_name(line) if line is not None else None
    if function is None or written is None or not isinstance(node, ast.Call) or function.name.endswith("_"):
        return None
    if written not in parameters_of(function) or not _is_kept(code, function, written):
        return None
    given = argument_of(function, written, node)
    if not isinstance(given, ast.Name) or (isinstance(statement, ast.Expr) and statement.value is node):
        return None
    return None if given.id in calling.targets(outer.position) else given.id


def _is_kept(code: Code, function: ast.stmt, name: str) -> bool:
    """Whether a parameter stands for what was given throughout, and is what a function returns."""
    inside = [one for one in code.source_code.names.get(name, ()) if node_position(function).holds(node_position(one))]
    stores = [one for one in inside if isinstance(one.ctx, ast.Store)]
    returned = [one.value for one in ast.walk(function) if isinstance(one, ast.Return)]
    same = all(isinstance(code.statement(node_position(one)), ast.AugAssign) for one in stores)
    return (
        isinstance(function, FUNCTIONS)
        and same
        and any(isinstance(one, ast.Name) and one.id == name for one in returned)
    )

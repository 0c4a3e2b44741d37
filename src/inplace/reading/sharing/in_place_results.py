"""Activations that worked in place on a variable which the same function reads again, as if it were what it was before.

NOTE [ Who asked for the values before ]
`relu(h, inplace=True)` on a line of its own, and `h = relu(h)`, are meant to change `h`. What was changed by surprise
has another name than the result: `y = act(h)` with `h` read later, `act(h) + h`, or `identity = h` above `h = act(h)`.
"""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Iterator

from inplace.facts.model import Call, Position, TensorId
from inplace.facts.source_code import node_position
from inplace.reading.sharing.arguments import WrittenArgument
from inplace.reading.source.code import Code
from inplace.reading.trace.changes import SPARING, changes_values
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.spelled import is_path

_LOOKED_AT = 16  # calls behind a write that are asked what they read


def in_place_results(index: Index) -> Iterator[WrittenArgument]:
    """Yield the activations and dropouts whose argument is read again under another name than their result has."""
    seen: set[object] = set()
    for write in index.history.writes:
        call = write.call
        if call.function.label not in SPARING or call.raised is not None or call.within is not None:
            continue
        if call.stack in seen or not call.stack.frames or not changes_values(index, write):
            continue
        read, shown = _read_again(index, write)
        if read is not None:
            seen.add(call.stack)
            yield WrittenArgument(index.places.at(call.stack.frames[0], call.step), write, read, shown)


def _read_again(index: Index, write: Write) -> tuple[Call | None, str]:
    """The first call behind a write that is given what was written, by a name for what it was before; and that name."""
    frame, outer = write.call.stack.frames[0], write.call.stack.frames[1:]
    site = index.places.site(frame)
    code = index.places.codes[site.source]
    shown = _argument(code, site.position)
    names = _names_before(code, site.position, shown) if shown is not None else set()
    sightings = index.history.sightings.get(write.before.tensor, []) if names else []
    begin = bisect_right(sightings, write.call.step, key=lambda one: one[0])
    for step, _ in sightings[begin : begin + _LOOKED_AT]:
        call = index.trace.calls[step]
        frames = call.stack.frames
        if not frames or frames[1:] != outer or call.within is not None or list(index.trace.writes(call)):
            continue
        here = index.places.site(frames[0])
        same = (here.source, here.function) == (site.source, site.function)
        after = here.position.start >= site.position.end or here.position.holds(site.position)  # in this very run of it
        if same and after and here.position != site.position and _takes(index, call, write.before.tensor, names):
            return call, shown or ""
    return None, ""


def _argument(code: Code, position: Position) -> str | None:
    """The variable that a call at a range works on, where its result is put to use."""
    node, statement = code.source_code.node(position), code.statement(position)
    if not isinstance(node, ast.Call) or (isinstance(statement, ast.Expr) and statement.value is node):
        return None
    own = isinstance(node.func, ast.Attribute) and node.func.attr.endswith("_") and not node.args
    given = node.func.value if own and isinstance(node.func, ast.Attribute) else node.args[0] if node.args else None
    return ast.unparse(given) if given is not None and is_path(given) else None


def _names_before(code: Code, position: Position, shown: str) -> set[str]:
    """The names for what a variable was: its own where the result has another, and those it was assigned to above."""
    function = code.source_code.function_around(position)
    results = set(code.targets(position))
    names = set() if shown in results and code.name_given(position) == shown else {shown}
    for statement in code.source_code.simple_statements:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.value) == shown:
            at = node_position(statement)
            if at.end <= position.start and code.source_code.function_around(at) is function:
                names |= {one.id for one in statement.targets if isinstance(one, ast.Name)}
    return names - (results - {shown})


def _takes(index: Index, call: Call, tensor: TensorId, names: set[str]) -> bool:
    """Whether a call is given a tensor by one of some names; a module of a library by what it was called with."""
    taken = [one for one in call.inputs if index.trace.states[one.before].tensor == tensor]
    if index.spelled.of(call):
        return any(index.spelled.text(call, one.path) in names for one in taken)
    node = index.places.node_at(call.stack.frames[0])
    given = [*node.args, *(one.value for one in node.keywords)] if isinstance(node, ast.Call) else []
    return bool(taken) and not names.isdisjoint(ast.unparse(one) for one in given)

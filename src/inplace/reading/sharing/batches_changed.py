"""Batches that a generator gives out as views of its data, and a line changes again each time the data is gone through.

NOTE [ Batches, and not parts of a state ]
A loop may well change the rows of a state in place, turn by turn. What is told here is a batch by its form: a function
yields parts of several tensors side by side (`yield x[i : i + n], y[i : i + n]`), and who is given them changes one
from its old values, with numbers, noise or the same tensors in each pass. A state is moved by what is computed anew, on
whatever line; and data that somebody fills in between is other data.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from inplace.facts.model import Call, Stack, TensorId
from inplace.facts.source_code import node_position
from inplace.reading.sharing.arguments import SETTING, WrittenArgument, giving_calls
from inplace.reading.sharing.moved_by import moved_by
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index

_FEWEST = 2  # tensors that a batch has parts of


def changed_batches(index: Index) -> Iterator[WrittenArgument]:
    """Yield the first write of each statement to a batch, and the one of a later pass over the same part."""
    if not any("yield" in (source.text or "") for source in index.trace.sources):
        return
    giving: dict[Stack, bool] = {}
    seen: set[object] = set()
    for writes in index.history.writes_to.values():
        if all(_given_out(index, write, giving) is None for write in writes) or _is_carried(index, writes):
            continue
        first: dict[object, tuple[Write, Call]] = {}
        for write in writes:
            call, taken = write.call, _given_out(index, write, giving)
            if _sets(write):
                first.clear()
            elif taken is not None and call.raised is None and call.within is None:
                key = call.stack.frames[0].site, write.before.offset, write.before.layout
                earlier, before = first.setdefault(key, (write, taken))
                keep, statement = index.places.of(before), index.places.statement_of(call)
                if before is not taken and keep is not None and statement not in seen:
                    seen.add(statement)
                    yield WrittenArgument(keep, earlier, call, index.spelled.text(call, write.argument.path) or "")


def _sets(write: Write) -> bool:
    """Whether a write leaves nothing of what was there."""
    return write.call.function.label in SETTING or write.argument.path == "out"


def _is_carried(index: Index, writes: list[Write]) -> bool:
    """Whether a line changes some memory by other tensors each time."""
    first: dict[Stack, list[TensorId]] = {}
    changing = (write for write in writes if not _sets(write))
    return any(first.setdefault(one.call.stack, own) != own for one in changing for own in [moved_by(index, one)])


def _given_out(index: Index, write: Write, giving: dict[Stack, bool]) -> Call | None:
    """The call by which a generator gave out what is written elsewhere, or what that is a view of."""
    for call in giving_calls(index, write):
        if call.stack not in giving:
            giving[call.stack] = _is_batch(index, call)
        if giving[call.stack]:
            frames = [frame.site for frame in write.call.stack.frames]
            return None if call.stack.frames[0].site in frames else call
    return None


def _is_batch(index: Index, call: Call) -> bool:
    """Whether a call took a part of one of several tensors whose parts its statement yields."""
    place = index.places.of(call)
    statement = index.places.code(place).statement(place.position) if place is not None else None
    given = statement.value if isinstance(statement, ast.Expr) else None
    yielded = given.value if isinstance(given, ast.Yield) else None
    if place is None or not isinstance(yielded, ast.Tuple):
        return False
    parts = [one for one in yielded.elts if isinstance(one, ast.Subscript)]
    of = {ast.unparse(one.value) for one in parts}
    return len(of) >= _FEWEST and any(node_position(one) == place.position for one in parts)

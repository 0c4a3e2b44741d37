"""Batches that are views of the data they are parts of, and a line changes again each time the data is gone through.

NOTE [ Batches, and not parts of a state ]
A loop may well change the rows of a state in place, turn by turn. What is told here is a batch by its form: parts of
several tensors that are taken side by side (`x[i : i + n], y[i : i + n]`), of which a line changes one from its old
values, with numbers, noise or the same tensors in each pass. A state is moved by what is computed anew, on whatever
line; and data that somebody fills in between is other data. Where no generator yields them, positions and velocities
have that form too: then a module has to be given what was changed, and nobody may write what was taken beside it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from inplace.facts.model import Call, Stack, StorageId, TensorId
from inplace.reading.sharing.arguments import SETTING, WrittenArgument, giving_calls
from inplace.reading.sharing.moved_by import moved_by
from inplace.reading.source.batches import Taken, taken_side_by_side
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index

_LOOKED_AT = 16  # calls behind a write that are asked whether a module made them


def changed_batches(index: Index) -> Iterator[WrittenArgument]:
    """Yield the first write of each statement to a batch, and the one of a later pass over the same part."""
    batches = _Batches(index)
    if not batches.forms:
        return
    seen: set[object] = set()
    for storage, writes in index.history.writes_to.items():
        if all(batches.giving(write) is None for write in writes) or _is_carried(index, writes):
            continue
        first: dict[object, tuple[Write, Call]] = {}
        for write in writes:
            call, taken = write.call, batches.giving(write)
            if _sets(write):
                first.clear()
            elif taken is not None and call.raised is None and call.within is None:
                key = call.stack.frames[0].site, write.before.offset, write.before.layout
                earlier, before = first.setdefault(key, (write, taken))
                keep, statement = index.places.of(before), index.places.statement_of(call)
                again = before is not taken and keep is not None and statement not in seen
                if again and keep is not None and batches.is_data(write, taken, storage):
                    seen.add(statement)
                    yield WrittenArgument(keep, earlier, call, index.spelled.text(call, write.argument.path) or "")


class _Batches:
    """The calls of one trace that took parts of several tensors side by side.

    Attributes:
        forms: where the source does, by the number of the source and the range.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        codes = enumerate(index.places.codes)
        self.forms = {(number, at): one for number, code in codes for at, one in taken_side_by_side(code).items()}
        self._found: dict[Stack, Taken | None] = {}
        self._taken: dict[Taken, set[StorageId]] | None = None

    def of(self, call: Call) -> Taken | None:
        """How the line of a call takes parts side by side, one of which is what the call took."""
        if call.stack not in self._found:
            site = self._index.places.site(call.stack.frames[0]) if call.stack.frames else None
            self._found[call.stack] = self.forms.get((site.source, site.position)) if site is not None else None
        return self._found[call.stack]

    def giving(self, write: Write) -> Call | None:
        """The call that took what is written elsewhere, or what that is a view of, as a part of a batch."""
        for call in giving_calls(self._index, write):
            if self.of(call) is not None:
                frames = [frame.site for frame in write.call.stack.frames]
                return None if call.stack.frames[0].site in frames else call
        return None

    def is_data(self, write: Write, taken: Call, storage: StorageId) -> bool:
        """Whether what was changed is a part of data, and not of a state, as far as its form leaves that open."""
        form = self.of(taken)
        if form is None or form.is_yielded:
            return form is not None
        beside = self._taken_by(form) - {storage}
        return not any(map(self._index.history.writes_to.get, beside)) and self._is_given_to_module(write)

    def _taken_by(self, form: Taken) -> set[StorageId]:
        """The storages that the parts of a batch were ever taken of."""
        if self._taken is None:
            self._taken = {}
            for call in self._index.history.calls_of(lambda function: function.label == "__getitem__"):
                one = self.of(call)
                state = self._index.trace.states[call.inputs[0].before] if call.inputs else None
                if one is not None and state is not None and state.storage is not None:
                    self._taken.setdefault(one, set()).add(state.storage)
        return self._taken.get(form, set())

    def _is_given_to_module(self, write: Write) -> bool:
        sightings = self._index.history.sightings.get(write.before.tensor, [])
        begin = bisect_right(sightings, write.call.step, key=lambda one: one[0])
        stacks = [self._index.trace.calls[at].stack for at, _ in sightings[begin : begin + _LOOKED_AT]]
        return any((frame.entry or "").startswith("Module.") for stack in stacks for frame in stack.frames)


def _sets(write: Write) -> bool:
    """Whether a write leaves nothing of what was there."""
    return write.call.function.label in SETTING or write.argument.path == "out"


def _is_carried(index: Index, writes: list[Write]) -> bool:
    """Whether a line changes some memory by other tensors each time."""
    first: dict[Stack, list[TensorId]] = {}
    changing = (write for write in writes if not _sets(write))
    return any(first.setdefault(one.call.stack, own) != own for one in changing for own in [moved_by(index, one)])

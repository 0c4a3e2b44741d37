"""What checkpoints computed otherwise when backward ran their functions again, though nothing was refused.

NOTE [ Two runs of one function ]
A checkpoint keeps its function's arguments only. What else it reads may have changed by the time of backward: values
of tensors, of which PyTorch asks no version there, or conditions, with which another way is gone that happens to save
tensors of the same kinds. A tensor is compared where the same call on the same line took it both times; ways are
compared where the function's first call is made once in it, so that it is certain which run a call belongs to.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Call, Kind, StackFrame, TensorId, TensorState
from inplace.reading.trace.checkpoints import frame_of
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place
from inplace.reading.writes.saves import changed

_STOPPED = "_StopRecomputationError"  # what ends a run once it has saved enough (`torch/utils/checkpoint.py`)
_MOST = 64  # writes that are looked at between two runs
_Spot = tuple[StackFrame | None, str]


@dataclass(frozen=True, slots=True)
class Recomputed:
    """A checkpoint whose function read other values the second time, or went another way.

    `writes` changed `tensor` in between; or `twice` was called in place of `once`, which is None where there had been
    no call any more.
    """

    checkpoint: Place
    step: int
    tensor: TensorId | None = None
    writes: tuple[Write, ...] = ()
    once: Call | None = None
    twice: Call | None = None

    @property
    def is_own(self) -> bool:
        """Whether no line of the user's wrote, but a module of a library as it ran again: a power iteration, say."""
        return bool(self.writes) and not any(write.call.stack.frames for write in self.writes)


def recomputed_otherwise(index: Index) -> Iterator[Recomputed]:
    """Yield what differed, of each line that checkpoints once."""
    columns = index.history.columns
    frames = [frame_of(index, stack) for stack in columns.stacks]
    if not any(frames):
        return
    told: set[StackFrame] = set()
    runs = _Runs(index)
    for step, stack in enumerate(columns.stack):
        frame, function = frames[stack], columns.functions[columns.function[step]]
        if function.kind is Kind.BACKWARD and step not in columns.raised:
            for frame, found in runs.compared(step):
                if frame not in told:
                    told.add(frame)
                    yield found
        elif frame is not None and function.kind is Kind.OP:
            runs.add(frame, index.trace.calls[step])


class _Runs:
    """The calls that checkpoints made in a forward, until a backward makes them again."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._calls: dict[_Spot, tuple[StackFrame, Call]] = {}  # the last at each spot
        self._whole: dict[StackFrame, list[Call]] = {}  # of each checkpoint since the last backward

    def add(self, frame: StackFrame, call: Call) -> None:
        self._calls[_spot(call, frame)] = frame, call
        self._whole.setdefault(frame, []).append(call)

    def compared(self, backward: int) -> Iterator[tuple[StackFrame, Recomputed]]:
        """What the calls within a backward did otherwise than those before it."""
        again = list(self._again(backward))
        for twice in again:
            known = self._calls.get(_spot(twice, None))
            if known is not None and known[1].step < backward:
                changed = self._changed(known[1], twice)
                if changed is not None:
                    yield known[0], self._of_writes(known[0], backward, *changed)
        for frame, whole in self._whole.items():
            other = _other_way(whole, again)
            if other is not None:
                yield frame, Recomputed(self._place(frame), backward, once=other[0], twice=other[1])
        self._whole.clear()

    def _again(self, backward: int) -> Iterator[Call]:
        calls = self._index.trace.calls
        step = backward + 1
        while step < len(calls) and (call := calls[step]).within == backward:
            if call.function.kind is Kind.OP and not self._is_of_backward(call):
                yield call
            step += 1

    def _is_of_backward(self, call: Call) -> bool:
        frames = call.stack.frames[:1]
        return any(self._index.places.site(one).function.endswith((".backward", ".vjp")) for one in frames)

    def _changed(self, once: Call, twice: Call) -> tuple[TensorId, tuple[Write, ...]] | None:
        """A tensor that both calls took, and the writes that changed it in between; not what the call itself writes."""
        states, own = self._index.trace.states, {one.path for one in self._index.trace.writes(once)}
        given = {one.path: states[one.before] for one in once.inputs if one.path not in own}
        for argument in twice.inputs:
            new, old = states[argument.before], given.get(argument.path)
            if old is None or old.tensor != new.tensor or old is new or old.storage != new.storage:
                continue
            between = self._between(once.step, twice.step, new)
            writes = [one for one in between if one.counted and changed(one) and not self._is_of_library(one.call)]
            if writes:
                return new.tensor, tuple(writes)
        return None

    def _between(self, begin: int, end: int, state: TensorState) -> list[Write]:
        writes = self._index.history.writes_of(state)
        first = bisect_right(writes, begin, key=lambda one: one.call.step)
        last = bisect_left(writes, end, key=lambda one: one.call.step)
        return writes[first:last][:_MOST]

    def _is_of_library(self, call: Call) -> bool:
        """Whether a module of a library wrote within a checkpoint, such as to its own statistics."""
        frame = frame_of(self._index, call.stack)
        return frame is not None and _spot(call, frame)[0] is None

    def _of_writes(self, frame: StackFrame, step: int, tensor: TensorId, writes: tuple[Write, ...]) -> Recomputed:
        return Recomputed(self._place(frame), step, tensor=tensor, writes=writes)

    def _place(self, frame: StackFrame) -> Place:
        return self._index.places.at(frame, None)


def _spot(call: Call, frame: StackFrame | None) -> _Spot:
    """Where the function of a checkpoint made a call, and of what; code of a library has no place of its own."""
    own = call.stack.frames[0] if call.stack.frames else None
    return (None if own == frame else own), call.function.name


def _other_way(whole: list[Call], again: list[Call]) -> tuple[Call | None, Call] | None:
    """Where the calls of a checkpoint part from those of its second run; NOTE [ Two runs of one function ]."""
    first = _spot(whole[0], None)
    if first[0] is None or sum(_spot(one, None) == first for one in whole) != 1:
        return None
    starts = [number for number, one in enumerate(again) if _spot(one, None) == first]
    if len(starts) != 1:
        return None
    second = again[starts[0] :]
    for number, once in enumerate(whole):
        if number >= len(second):
            return None
        twice = second[number]
        if _spot(once, None) != _spot(twice, None):
            return (once, twice) if twice.stack.frames else None
        if twice.raised is not None and twice.raised.type == _STOPPED:
            return None
    return None

"""Bytes that were kept by reference, written, and read back: who kept them, who wrote them, who reads them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Call, Kind, StateId, TensorId, TensorState
from inplace.facts.rows import column
from inplace.reading.trace.gradient_events import reads_grad
from inplace.reading.trace.history import SET_ITEM, Write, sets_data
from inplace.reading.trace.index import Index
from inplace.reading.trace.items import part_of

# Functions that tell how far two tensors are from each other: of one and the same they say nothing.
LOSSES = frozenset(
    [
        *("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div", "binary_cross_entropy", "cosine_similarity"),
        *("binary_cross_entropy_with_logits", "cross_entropy", "cosine_embedding_loss", "pairwise_distance"),
    ]
)
COMPARING = LOSSES | frozenset(
    ["sub", "rsub", "eq", "ne", "equal", "allclose", "isclose", "dist", "div", "true_divide", "dot", "vdot", "inner"]
)
_COPYING = frozenset({"copy_", "lerp_", "add_", "_foreach_copy_", "_foreach_lerp_"})  # the last of an average too
_SNAPSHOTS = frozenset({"detach", "data"})
_KEEPING = _SNAPSHOTS | frozenset(
    [
        *(
            "__getitem__",
            "expand",
            "expand_as",
            "view",
            "view_as",
            "reshape",
            "flatten",
            "ravel",
            "squeeze",
            "unsqueeze",
        ),
        *("narrow", "select", "unbind", "chunk", "split", "t", "transpose", "permute", "T", "mT", "diagonal", "alias"),
    ]
)
_LOOKED_AT = 16  # writes behind a call that kept a tensor
_DEEPEST = 8  # views of views that are followed


@dataclass(frozen=True, slots=True)
class KeptBytes:
    """Bytes that a call kept by reference (`keep`), another wrote, and a third (`read`) found changed.

    `kept` is the tensor that was kept, `shown` how it was spelled where it was read. `is_meant_apart` is whether nobody
    could want what was kept to follow the writes.
    """

    keep: Call
    write: Write | None
    read: Call
    kept: TensorState
    shown: str | None
    is_meant_apart: bool = True


def compared(index: Index) -> Iterator[KeptBytes]:
    """Yield the calls that compare a tensor with itself, of which one side was kept before the bytes were written."""
    yield from _pairs(index, COMPARING, through_kept=True)


def restored(index: Index) -> Iterator[KeptBytes]:
    """Yield the calls that copy a tensor onto itself, which was written since it was kept to be copied back."""
    yield from _pairs(index, _COPYING, through_kept=False)


def _pairs(index: Index, labels: frozenset[str], *, through_kept: bool) -> Iterator[KeptBytes]:
    columns, storages = index.history.columns, column(index.trace.states, "storage")
    reads = _reads_of_gradients(index)
    seen: set[object] = set()
    for step in columns.steps_of(lambda function: function.label in labels):
        first = columns.begins[step]
        given = columns.before[first : columns.begins[step + 1]]
        half = max(len(given) // 2, 1)  # of foreach functions the arguments are two lists
        if not given or half == len(given) or storages[given[0]] != storages[given[half]] or storages[given[0]] < 0:
            continue
        key = columns.stack[step], columns.function[step]
        if key in seen:
            continue
        call = index.trace.calls[step]
        one, two = index.trace.states[given[0]], index.trace.states[given[half]]
        if not _same_bytes(one, two):
            continue
        if outside(index, one.tensor, call) == outside(index, two.tensor, call):
            found = _of_gradient(index, call, one, half, reads)
        else:
            found = _of_pair(index, call, one, two, half, through_kept=through_kept)
        if found is not None:
            seen.add(key)
            yield found


def _same_bytes(one: TensorState, two: TensorState) -> bool:
    return one.offset == two.offset and one.layout == two.layout and one.layout.numel > 0


def _of_pair(
    index: Index, call: Call, one: TensorState, two: TensorState, half: int, *, through_kept: bool
) -> KeptBytes | None:
    """What was kept of two tensors over the same bytes that one call was given."""
    sources = [outside(index, state.tensor, call) for state in (one, two)]
    paths = call.inputs[0].path, call.inputs[half].path
    texts = [index.spelled.text(call, path) for path in paths]
    for tensor, state, text in zip(sources, (one, two), texts, strict=True):
        kept = keeping_call(index, tensor)
        if kept is None or kept.step >= call.step:
            continue
        for write in writes_between(index, state, kept.step, call.step):
            if through_kept or not derives(index, write.before.tensor, tensor):
                return KeptBytes(kept, write, call, state, text)
    return None


def _reads_of_gradients(index: Index) -> dict[TensorId, list[int]]:
    """The steps at which lines of the user's read each gradient."""
    found: dict[TensorId, list[int]] = {}
    columns = index.history.columns
    for step in columns.steps_of(reads_grad):
        for state in columns.outputs_of(step):
            found.setdefault(index.history.tensors_by_state[state], []).append(step)
    return found


def _of_gradient(
    index: Index, call: Call, state: TensorState, half: int, reads: dict[TensorId, list[int]]
) -> KeptBytes | None:
    """A gradient under two names in one call, of which one was kept before the last write; it stays one object."""
    paths = call.inputs[0].path, call.inputs[half].path
    texts = [text for path in paths if (text := index.spelled.text(call, path)) is not None]
    tensor = outside(index, state.tensor, call)
    writes = index.history.writes_of(state)
    place = bisect_left(writes, call.step, key=lambda write: write.call.step) - 1
    if len(set(texts)) != len(paths) or place < 0:
        return None
    steps = reads.get(tensor, [])
    before = bisect_left(steps, writes[place].call.step) - 1
    keep = index.trace.calls[steps[before]] if before >= 0 else None
    if keep is None or _same_statement(index, keep, call):
        return None
    shown = next((text for text in texts if not text.endswith(".grad")), None)
    return KeptBytes(keep, writes[place], call, state, shown)


# ---------------------------------------------------------------- kept and read back


def read_back(index: Index) -> Iterator[KeptBytes]:
    """Yield what was kept by a `detach()`, `.data`, `state_dict()` or view, written by another way, and read again.

    Whether it was to follow the writes is not known, unless several were collected one after the other, or what was
    written by a line of the user's is read once and no more.
    """
    seen: dict[object, int] = {}
    for storage, writes in index.history.writes_to.items():
        tensors = index.history.tensors_of[storage]
        if len(tensors) == 1:
            continue
        collected: dict[object, tuple[Call, Write, Call, TensorId]] = {}
        for tensor in tensors:
            keep = keeping_call(index, tensor)
            if keep is None or keep.function.label not in _KEEPING or keep.within is not None or keep.stack in seen:
                continue
            found = _first_read(index, tensor, keep, writes)
            if found is None:
                continue
            if keep.stack not in collected:
                collected[keep.stack] = (keep, *found, tensor)
                continue
            first = collected[keep.stack]
            if _is_put_away(index, keep) and first[1].call.step < keep.step:
                seen[keep.stack] = keep.step
                yield _kept(index, *first, is_meant_apart=True)
        for stack, one in collected.items():
            if stack not in seen:
                seen[stack] = one[0].step
                yield _kept(index, *one, is_meant_apart=_is_snapshot(index, *one, writes))


def _first_read(index: Index, tensor: TensorId, keep: Call, writes: list[Write]) -> tuple[Write, Call] | None:
    """The first write behind the call that kept a tensor, by another way, and the first call that was given it then."""
    sightings = index.history.sightings.get(tensor, [])
    if not sightings or sightings[-1][0] <= writes[0].call.step:
        return None
    state = index.trace.states[sightings[0][1]]
    place = bisect_left(writes, keep.step + 1, key=lambda write: write.call.step)
    for write in writes[place : place + _LOOKED_AT]:
        step = write.call.step
        later = bisect_left(sightings, step + 1, key=lambda sighting: sighting[0])
        if later == len(sightings):
            return None
        read = index.trace.calls[sightings[later][0]]
        if sets_data(write.call.function) or derives(index, write.before.tensor, tensor):
            continue
        if not _reaches(index, write, state, sightings[later][1]):
            continue
        if _same_statement(index, read, keep) or read.within is not None or _only_writes(index, read, tensor):
            return None
        return write, read
    return None


def _reaches(index: Index, write: Write, kept: TensorState, found: StateId) -> bool:
    """Whether a write changed what was kept, which was found in a state then.

    Which items an assignment writes is not always known; then it is asked whether other values were found.
    """
    if write.call.function.label != SET_ITEM:
        return index.overlaps.of(write.after, kept)
    part, values = part_of(index, write), index.trace.states[found].values
    if part is not None:
        return index.overlaps.of(part, kept)
    return values is not None and kept.values is not None and values != kept.values


def _only_writes(index: Index, call: Call, tensor: TensorId) -> bool:
    return any(index.trace.states[one.before].tensor == tensor for one in index.trace.writes(call))


def _is_put_away(index: Index, keep: Call) -> bool:
    """Whether the statement of a call puts what it gave out into a container."""
    place = index.places.of(keep)
    return place is not None and index.places.code(place).puts_away(place.position)


def _is_snapshot(index: Index, keep: Call, write: Write, read: Call, tensor: TensorId, writes: list[Write]) -> bool:
    """Whether a line of the user's wrote what was kept, and it is read once behind the writes: it follows nothing."""
    if keep.function.label not in _SNAPSHOTS or write.call.stack.frames[:1] == () or _is_library(write.call):
        return False
    last = index.history.sightings[tensor][-1][0]
    return not any(read.step < one.call.step < last for one in writes)


def _is_library(call: Call) -> bool:
    return call.stack.frames[0].entry is not None


def _kept(index: Index, keep: Call, write: Write, read: Call, tensor: TensorId, *, is_meant_apart: bool) -> KeptBytes:
    given = next(one for one in read.inputs if index.trace.states[one.before].tensor == tensor)
    text = index.spelled.text(read, given.path)
    return KeptBytes(keep, write, read, index.trace.states[given.before], text, is_meant_apart)


# ---------------------------------------------------------------- gradients


def gradients_read_back(index: Index) -> Iterator[KeptBytes]:
    """Yield gradients that were kept by reference, written by what cleared or filled them anew, and read again.

    A gradient stays one object, so it is known by the source that several reads of it were collected: in a loop, into
    a container that was there before the loop. Else it is one that was not asked for again since it was written.
    """
    seen: set[object] = set()
    for tensor, steps in _reads_of_gradients(index).items():
        state = index.history.last_state(tensor)
        writes = index.history.writes_of(state)
        for place, step in enumerate(steps) if writes else ():
            keep = index.trace.calls[step]
            if keep.stack in seen or not _is_kept(index, keep):
                continue
            following = steps[place + 1] if place + 1 < len(steps) else len(index.trace.calls)
            number = bisect_left(writes, step, key=lambda write: write.call.step)
            write = next((one for one in writes[number:] if not _through_kept(index, one)), None)
            if write is None or state is None:
                break
            again = index.trace.calls[following] if following < len(index.trace.calls) else None
            collected = again is not None and again.stack == keep.stack and write.call.step < following
            if collected and again is not None and _is_collected(index, keep, again):
                read = _reading(index, tensor, following)
            elif not collected and write.call.step < following:
                read, collected = _reading(index, tensor, write.call.step, following), False
            else:
                continue
            if read is not None:
                seen.add(keep.stack)
                text = index.spelled.text(read, read.inputs[0].path)
                yield KeptBytes(keep, write, read, state, text, is_meant_apart=collected)


def _through_kept(index: Index, write: Write) -> bool:
    """Whether a line of the user's wrote a gradient by another name than that of its attribute: as it was kept."""
    text = index.spelled.text(write.call, write.argument.path)
    return text is not None and ".grad" not in text


def _reading(index: Index, tensor: TensorId, after: int, before: int | None = None) -> Call | None:
    """The first call of the user's own between two steps that was given a gradient, and does not write it."""
    sightings = index.history.sightings.get(tensor, [])
    first = bisect_left(sightings, after + 1, key=lambda sighting: sighting[0])
    for step, _ in sightings[first : first + _LOOKED_AT]:
        call = index.trace.calls[step]
        if before is not None and step >= before:
            return None
        given = any(index.trace.states[one.before].tensor == tensor for one in call.inputs)
        if given and call.stack.frames and not _is_library(call) and not _only_writes(index, call, tensor):
            return call
    return None


def _is_kept(index: Index, keep: Call) -> bool:
    """Whether a read of a gradient stands where its statement keeps it: assigned, or put into a container."""
    place = index.places.of(keep)
    if place is None or not keep.inputs:
        return False
    code = index.places.code(place)
    return bool(code.names_given(place.position)) or code.holds(place.position)


def _is_collected(index: Index, one: Call, two: Call) -> bool:
    """Whether two calls of one line put what they gave out into one container: the function went on between them."""
    place, columns = index.places.of(one), index.history.columns
    code = index.places.code(place) if place is not None else None
    if place is None or code is None or not code.collects(place.position):
        return False
    inner = index.places.site(one.stack.frames[0]).function.endswith("comp>")  # a function of its own up to Python 3.11
    outer = one.stack.frames[1:] if inner else one.stack.frames
    depth = len(outer)
    return all(
        columns.stacks[columns.stack[step]].frames[-depth:][1:] == outer[1:]
        and len(columns.stacks[columns.stack[step]].frames) >= depth
        for step in range(one.step, two.step)
    )


# ---------------------------------------------------------------- parts


def keeping_call(index: Index, tensor: TensorId) -> Call | None:
    """The call that gave out a tensor as another reference to bytes that were there; None where it made them."""
    origin = index.trace.tensors[tensor].origin
    if origin is None or origin < 0:
        return None
    call, states = index.trace.calls[origin], index.trace.states
    if call.function.kind not in {Kind.OP, Kind.GETTER}:
        return None
    made = next((states[one].storage for one in call.outputs if states[one].tensor == tensor), None)
    given = {states[argument.before].storage for argument in call.inputs}
    return call if made is not None and made in given else None


def outside(index: Index, tensor: TensorId, call: Call) -> TensorId:
    """What a statement took a view of, for a tensor that a call of the same statement was given."""
    for _ in range(_DEEPEST):
        maker = keeping_call(index, tensor)
        if maker is None or maker.step >= call.step or not _same_statement(index, maker, call):
            break
        tensor = index.trace.states[maker.inputs[0].before].tensor
    return tensor


def derives(index: Index, tensor: TensorId, source: TensorId) -> bool:
    """Whether a tensor is another, or a view that was made of it."""
    for _ in range(_DEEPEST):
        if tensor == source:
            return True
        maker = keeping_call(index, tensor)
        if maker is None:
            return False
        tensor = index.trace.states[maker.inputs[0].before].tensor
    return False


def writes_between(index: Index, state: TensorState, begin: int, end: int) -> list[Write]:
    """The writes to a tensor's bytes behind one step and before another."""
    writes = index.history.writes_of(state)
    first = bisect_left(writes, begin + 1, key=lambda write: write.call.step)
    last = bisect_left(writes, end, key=lambda write: write.call.step)
    return [
        write
        for write in writes[first:last]
        if not sets_data(write.call.function) and index.overlaps.of(write.after, state)
    ]


def _same_statement(index: Index, one: Call, two: Call) -> bool:
    found = index.places.statement_of(one)
    return found is not None and found == index.places.statement_of(two)

"""What backwards were about to read, and who wrote those bytes since they were saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from inplace.facts.collectives import SYNC_BUFFERS, is_collective
from inplace.facts.model import ContentChange, GraphWalk, Kind, Node, SavedTensor, SavedUse, TensorState
from inplace.reading.sharing.arrays import may_be_of_array
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

Escape = Literal[
    "data", "external", "elsewhere", "shared", "buffers", "replaced", "collective", "begun", "broadcast", "unrecorded"
]
"""How a write escaped the counter of a save: by a counter of its own, from outside PyTorch, in another process, in
memory that other processes have, without moving any, by giving the tensor other memory, by a collective, by one that
was not waited for, by the broadcast of a model's buffers, or by nobody that we were shown."""

_MOST = 8  # culprit lines named for one save


@dataclass(frozen=True, slots=True)
class Use:
    """A saved tensor as a backward was about to read it, with all that belongs to it."""

    walk: GraphWalk
    node: Node
    saved: SavedTensor
    use: SavedUse

    @property
    def is_of_custom(self) -> bool:
        """Whether a custom function of the user's has saved it; that of a reentrant checkpoint is PyTorch's own."""
        return self.node.custom and self.node.name != "CheckpointFunctionBackward"

    @property
    def is_stale(self) -> bool:
        """Whether the version has moved on since the save."""
        return self.use.version != self.use.version_saved


def uses(index: Index) -> Iterator[Use]:
    """What each backward was about to read, in the order of the backwards."""
    for walk in index.trace.walks:
        if walk.is_backward:
            for use in walk.uses:
                node = index.trace.node_by_id[use.node]
                yield Use(walk, node, node.saved[use.saved], use)


@dataclass(frozen=True, slots=True)
class Unseen:
    """Writes to the bytes of a save that its counter did not show, and changes that no call made."""

    writes: list[Write]
    changes: list[ContentChange]
    how: Escape


def refused_uses(index: Index) -> list[Use]:
    """The saves that a backward which raised found stale, the one it met first in front."""
    raised = index.history.columns.raised
    stale = [one for one in uses(index) if one.is_stale and one.saved.counted and one.walk.step in raised]
    # The engine runs nodes made last first (`torch/csrc/autograd/engine.cpp`, ReadyQueue orders by sequence number).
    return sorted(stale, key=lambda one: (one.walk.step, -one.node.id))


def pending_uses(index: Index) -> Iterator[Use]:
    """The saves that a backward would refuse, of graphs that are alive in the end."""
    walk = index.trace.walks[-1] if index.trace.walks else None
    if walk is None or walk.is_backward or walk.step != len(index.trace.calls):
        return
    for use in walk.uses:
        node = index.trace.node_by_id[use.node]
        one = Use(walk, node, node.saved[use.saved], use)
        if one.is_stale and one.saved.counted and not one.is_of_custom:
            yield one


def unseen_uses(index: Index) -> Iterator[tuple[Use, Unseen]]:
    """The saves that a backward read, or would have read had another not been refused, with other values than saved."""
    raised = index.history.columns.raised
    for one in uses(index):
        unseen = None if one.is_stale and one.walk.step in raised else _unseen(index, one)
        if unseen is not None:
            yield one, unseen


def _unseen(index: Index, one: Use) -> Unseen | None:
    if one.saved.storage is None or one.saved.layout is None or one.use.changed is False or _own_buffer(index, one):
        return None
    replaced = _replaced(index, one)
    after = [write for write in writes_after(index, one) if _hidden(one, write) and changed(write)]
    earlier = [write for write in _to_memory_before(index, one, replaced) if _hidden(one, write) and changed(write)]
    writes = [*earlier, *(write for write in after if touches(index, one.saved, write.after)), *replaced]
    changes = changes_after(index, one)
    if not writes and not changes:
        return None
    how: Escape = "replaced" if replaced and not earlier else _escape(writes)
    if changes:
        how = _escape_of_change(index, changes)
    return Unseen(writes, changes, how)


def _escape_of_change(index: Index, changes: list[ContentChange]) -> Escape:
    """How changes that no call made escaped the counter of a save."""
    if all((change.storage, change.stack) in index.begun for change in changes):
        return "begun"
    changes = [change for change in changes if not change.is_sampled]
    if not changes:
        return "unrecorded"
    if all(change.processes for change in changes):
        return "elsewhere"
    unknown = {change.storage for change in changes if not change.processes}
    others = unknown <= index.shared.keys() and not any(may_be_of_array(index, storage) for storage in unknown)
    return "shared" if others else "external"


def _escape(writes: list[Write]) -> Escape:
    """How writes that PyTorch knows of escaped the counter of a save."""
    # `h.data *= 2` ends in an assignment to `data`, of the very bytes that were written.
    uncounted = [write for write in writes if not write.counted and write.call.function.kind is not Kind.SETTER]
    if not uncounted:
        return "data"
    names = [write.call.function.name for write in uncounted]
    if SYNC_BUFFERS in names:
        return "broadcast"
    return "collective" if any(map(is_collective, names)) else "buffers"


def _own_buffer(index: Index, one: Use) -> bool:
    """Whether a save is a running statistic of the very batch norm that updates it: in training it isn't read back."""
    if one.node.step is None:
        return False
    return any(
        not one.saved.name.startswith("result")
        and argument.before == argument.after
        and index.trace.states[argument.before].tensor == one.saved.tensor
        for argument in index.trace.writes(index.trace.calls[one.node.step])
    )


def _replaced(index: Index, one: Use) -> list[Write]:
    """`p.data = new` writes that gave the saved tensor itself other bytes than those it was saved with."""
    if one.saved.tensor is None or one.node.step is None or one.saved.storage is None:
        return []
    return [
        write
        for write in index.history.writes_to.get(one.saved.storage, ())
        if write.call.function.label == "data"
        and one.node.step < write.call.step < one.walk.step
        and write.before.tensor == one.saved.tensor
        and write.before.storage != write.after.storage
        and changed(write)
    ]


def _to_memory_before(index: Index, one: Use, replaced: list[Write]) -> Iterator[Write]:
    """The writes after a save to the memory that its tensor had until it was given other memory."""
    begun = _made_by(index, one.node)
    for end in replaced:
        former = end.before
        for write in index.history.writes_of(former):
            if begun <= write.call.step < end.call.step and index.overlaps.of(former, write.after):
                yield write


def _hidden(one: Use, write: Write) -> bool:
    """Whether the save's own counter did not move with a write."""
    if write.before.storage != write.after.storage:
        return False  # the tensor took other bytes: the saved ones were left as they are
    if not one.saved.counted:
        return True  # an attribute of `ctx`: autograd compares no version at all
    return not write.counted or write.after.counter != one.use.counter


def changed(write: Write) -> bool:
    """Whether a write changed a value, as far as the values are known."""
    if write.call.function.label == "requires_grad_":
        return False  # it says that it writes, and changes no byte
    if write.argument.before == write.argument.after:
        return True  # no state was noted after it (its counter did not move), so nothing is known
    return write.before.values is None or write.after.values is None or write.before.values != write.after.values


def writes_after(index: Index, one: Use) -> list[Write]:
    """The writes to the storage of a save from the call that saved it on, before the backward."""
    if one.saved.storage is None:
        return []
    begun = _made_by(index, one.node)
    writes = index.history.writes_to.get(one.saved.storage, ())
    # The call that saved a tensor may itself write its bytes, through an alias with another counter.
    return [write for write in writes if begun <= write.call.step < one.walk.step]


def counted_writes(index: Index, one: Use) -> list[Write]:
    """The writes after a save that have moved its counter on from where it was saved.

    By the counter, not by the memory that the saved tensor has now: `x.data = other` gives it other memory, and moves
    no counter.
    """
    # What an in-place call keeps of its own result it has saved after its write, which is then no culprit.
    saved_at, counter = one.use.version_saved or 0, one.use.counter
    if counter is None:
        return []
    begun = _made_by(index, one.node)
    writes = index.history.writes_by_counter.get(counter, ())
    return [w for w in writes if begun <= w.call.step < one.walk.step and (w.after.version or 0) > saved_at]


def changes_after(index: Index, one: Use) -> list[ContentChange]:
    """The changes of a save's bytes that no call made, since it was saved."""
    begun = _made_by(index, one.node)
    changes = index.history.changes_of.get(one.saved.storage, ()) if one.saved.storage is not None else ()
    # What a custom function keeps on `ctx` may be there to be written: of that a sample tells nothing.
    known = [c for c in changes if one.saved.counted or not c.is_sampled]
    return [c for c in known if begun <= c.after and c.before <= one.walk.step and _touched(one.saved, c)]


def _made_by(index: Index, node: Node) -> int:
    """The step of the call that made a node; for a custom function's, the last call of its forward."""
    return index.custom.last_of_forward(node.id) if node.step is None else node.step


def touches(index: Index, saved: SavedTensor, state: TensorState) -> bool:
    """Whether a tensor shares a byte with what was saved."""
    if saved.layout is None or saved.storage != state.storage:
        return False
    return index.overlaps.of_layouts(saved.offset, saved.layout, state.offset, state.layout)


def _touched(saved: SavedTensor, change: ContentChange) -> bool:
    if saved.layout is None:
        return False
    start = saved.offset * saved.layout.itemsize
    stop = start + max(saved.layout.numel, 1) * saved.layout.itemsize
    return start < change.stop and change.start < stop


# ---------------------------------------------------------------- as a finding tells it


def culprits_of(index: Index, writes: Sequence[Write], changes: Sequence[ContentChange] = ()) -> tuple[Place, ...]:
    """The places of some writes, each once, then those of changes that no call made."""
    found: dict[object, Place] = {}
    for write in writes:
        for place in index.places.chain(write.call):
            found.setdefault(place.spot, place)
    unseen = {place.spot: place for one in changes if one.stack for place in index.places.chain_of(one.stack, None)}
    wholes = [place for place in unseen.values() if not any(_is_part(place, other) for other in unseen.values())]
    return (*tuple(found.values())[:_MOST], *wholes[:_MOST])


def _is_part(place: Place, other: Place) -> bool:
    """Whether a place is a part of another one."""
    return place.file == other.file and place.position != other.position and other.position.holds(place.position)


def names_of_use(
    index: Index, one: Use, culprits: tuple[Place, ...], victim: Place | None, *, is_elsewhere: bool = False
) -> tuple[str, ...]:
    """The names of what was saved: as the culprit itself calls it, then all that are known, then what is mentioned.

    What the culprit calls it in another process comes last, and is what this one calls it only if that is known.
    """
    own = index.names.of(one.saved.tensor) if one.saved.tensor is not None else []
    known = [*own, *index.names.over(one.saved.storage)]
    written = [name for name in index.names.at(*culprits[:1]) if name in (own or known)]
    for first in culprits[:1]:  # `y = act(h)`: it was `h` before it was `y` too
        code = index.places.code(first)
        written.sort(key=set(code.targets(first.position)).difference(code.roots(first.position)).__contains__)
    places = [victim, *culprits[:3]] if is_elsewhere else [*culprits[:3], victim]
    return index.names.told(first=[*written, *known], places=places)

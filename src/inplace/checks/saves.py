"""Stale saved tensors, and writes that no version counter saw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inplace.checks.findings import CustomFunction, Finding, StaleSave, UnseenWrite, Victim
from inplace.facts.model import ContentChange, GraphWalk, Node, SavedTensor, SavedUse, TensorState
from inplace.reading.extents import layouts_overlap
from inplace.reading.history import Write
from inplace.reading.index import Index
from inplace.reading.place import Place

_MOST = 8  # culprit lines named for one save


@dataclass(frozen=True, slots=True)
class _Use:
    """A saved tensor as a backward was about to read it, with all that belongs to it."""

    walk: GraphWalk
    node: Node
    saved: SavedTensor
    use: SavedUse


def _uses(index: Index) -> Iterator[_Use]:
    for walk in index.trace.walks:
        if not walk.is_backward:
            continue
        for use in walk.uses:
            node = index.trace.node_by_id[use.node]
            yield _Use(walk, node, node.saved[use.saved], use)


def stale_saves(index: Index) -> Iterator[Finding]:
    """Yield saved tensors that a backward refused, the one it met first in front."""
    found: dict[object, Finding] = {}
    stale = [
        one
        for one in _uses(index)
        if one.use.version != one.use.version_saved and index.backward_raised(one.walk.step) and one.saved.counted
    ]
    # The engine runs nodes made last first (`torch/csrc/autograd/engine.cpp`, ReadyQueue orders by sequence number).
    for one in sorted(stale, key=lambda one: (one.walk.step, -one.node.id)):
        finding = _stale(index, one)
        found.setdefault(finding.lines, finding)
    yield from found.values()


def _stale(index: Index, one: _Use) -> StaleSave | CustomFunction:
    writes = _writes_after(index, one)
    # What an in-place call keeps of its own result it has saved after its write, which is then no culprit.
    saved_at = one.use.version_saved or 0
    counted = [
        w for w in writes if w.after.counter == one.use.counter and w.counted and (w.after.version or 0) > saved_at
    ]
    culprits = _places(index, counted or writes)
    victim = _victim(index, one.node)
    names = _names(index, one, culprits, victim)
    if one.node.custom:
        return CustomFunction(
            severity="error",
            culprits=culprits,
            victim=victim,
            names=names,
            node=one.node.id,
            saved=one.saved.name,
            silent=False,
        )
    return StaleSave(
        severity="error",
        culprits=culprits,
        victim=victim,
        names=names,
        node=one.node.id,
        saved=one.saved.name,
        storage=one.saved.storage,
        version_saved=one.use.version_saved,
        version_now=one.use.version,
        disjoint=bool(counted) and not any(_touches(one.saved, w.after) for w in counted),
    )


def unseen_writes(index: Index) -> Iterator[Finding]:
    """Yield writes to saved bytes that the save's version does not show: backward computes with the new values."""
    found: dict[object, Finding] = {}
    for one in _uses(index):
        if index.backward_raised(one.walk.step) and one.use.version != one.use.version_saved:
            continue
        finding = _unseen(index, one)
        if finding is not None:
            found.setdefault(finding.lines, finding)
    yield from found.values()


def _unseen(index: Index, one: _Use) -> Finding | None:
    if one.saved.storage is None or one.saved.layout is None or one.use.changed is False or _own_buffer(index, one):
        return None
    replaced = _replaced(index, one)
    writes = [w for w in _writes_after(index, one) if _hidden(one, w) and _touches(one.saved, w.after) and _changed(w)]
    changes = [c for c in _changes_after(index, one) if _touched(one.saved, c)]
    writes = [*writes, *replaced]
    if not writes and not changes:
        return None
    culprits = (*_places(index, writes), *(p for c in changes if c.stack for p in index.places_of(c.stack, None)))
    victim = _victim(index, one.node)
    names = _names(index, one, culprits, victim)
    if one.node.custom and not one.saved.counted:
        return CustomFunction(
            severity="warning",
            culprits=culprits,
            victim=victim,
            names=names,
            node=one.node.id,
            saved=one.saved.name,
            silent=True,
        )
    how = "external" if changes else "replaced" if replaced else _how(writes)
    return UnseenWrite(
        severity="warning",
        culprits=culprits,
        victim=victim,
        names=names,
        node=one.node.id,
        saved=one.saved.name,
        storage=one.saved.storage,
        how=how,
    )


def _own_buffer(index: Index, one: _Use) -> bool:
    """Whether a save is a running statistic of the very batch norm that updates it: in training it isn't read back."""
    if one.node.step is None:
        return False
    call = index.calls[one.node.step]
    return any(
        not one.saved.name.startswith("result")
        and argument.before == argument.after
        and index.trace.states[argument.before].tensor == one.saved.tensor
        for argument in index.trace.writes(call)
    )


def _how(writes: list[Write]) -> str:
    return "data" if all(write.counted for write in writes) else "buffers"


def _replaced(index: Index, one: _Use) -> list[Write]:
    """`p.data = new` writes that gave the saved tensor itself other bytes than those it was saved with."""
    if one.saved.tensor is None or one.node.step is None or one.saved.storage is None:
        return []
    return [
        write
        for write in index.writes_to.get(one.saved.storage, ())
        if write.call.function.label == "data"
        and one.node.step < write.call.step < one.walk.step
        and write.before.tensor == one.saved.tensor
        and write.before.storage != write.after.storage
        and _changed(write)
    ]


def _hidden(one: _Use, write: Write) -> bool:
    """Whether the save's own counter did not move with a write."""
    if write.before.storage != write.after.storage:
        return False  # the tensor took other bytes: the saved ones were left as they are
    if not one.saved.counted:
        return True  # an attribute of `ctx`: autograd compares no version at all
    return not write.counted or write.after.counter != one.use.counter


def _changed(write: Write) -> bool:
    """Whether a write changed a value, as far as the values are known."""
    if write.argument.before == write.argument.after:
        return True  # no state was noted after it (its counter did not move), so nothing is known
    return write.before.values is None or write.after.values is None or write.before.values != write.after.values


def _writes_after(index: Index, one: _Use) -> list[Write]:
    if one.saved.storage is None:
        return []
    begun = _made_by(index, one.node)
    writes = index.writes_to.get(one.saved.storage, ())
    # The call that saved a tensor may itself write its bytes, through an alias with another counter.
    return [write for write in writes if begun <= write.call.step < one.walk.step]


def _changes_after(index: Index, one: _Use) -> list[ContentChange]:
    begun = _made_by(index, one.node)
    return [
        change
        for change in index.trace.changes
        if change.storage == one.saved.storage and begun <= change.after and change.after < one.walk.step
    ]


def _made_by(index: Index, node: Node) -> int:
    """The step of the call that made a node; for a custom function's, the last call of its forward."""
    if node.step is not None:
        return node.step
    step = max((step for step, stop in enumerate(index.columns.nodes_stop) if stop <= node.id), default=-1)
    while step + 1 < len(index.calls) and index.apply_frame(index.calls[step + 1]) is not None:
        step += 1
    return step


def _touches(saved: SavedTensor, state: TensorState) -> bool:
    if saved.layout is None or saved.storage != state.storage:
        return False
    return layouts_overlap(saved.offset, saved.layout, state.offset, state.layout)


def _touched(saved: SavedTensor, change: ContentChange) -> bool:
    if saved.layout is None:
        return False
    start = saved.offset * saved.layout.itemsize
    stop = start + max(saved.layout.numel, 1) * saved.layout.itemsize
    return start < change.stop and change.start < stop


def _places(index: Index, writes: list[Write]) -> tuple[Place, ...]:
    found: dict[object, Place] = {}
    for write in writes:
        for place in index.places(write.call):
            found.setdefault((place.file, place.position), place)
    return tuple(found.values())[:_MOST]


def _victim(index: Index, node: Node) -> Victim | None:
    place = index.place_of_node(node.id)
    return Victim(place, node.name) if place is not None else None


def _names(index: Index, one: _Use, culprits: tuple[Place, ...], victim: Victim | None) -> tuple[str, ...]:
    places = [*culprits[:3], victim.place if victim is not None else None]
    own = index.names_of(one.saved.tensor) if one.saved.tensor is not None else []
    known = [*own, *index.names_over(one.saved.storage)]
    mine = own or known
    written = [name for name in index.names_at(*culprits[:1]) if name in mine]  # as the culprit itself calls it
    return tuple(dict.fromkeys([*written, *known, *index.names_at(*places)]))

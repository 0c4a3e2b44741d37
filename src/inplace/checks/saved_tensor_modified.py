"""saved-tensor-modified: backward refused a saved tensor, since somebody has written to it."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Literal

from inplace.checks.finding import Broken, Cure, Finding, Victim
from inplace.facts.model import NodeId, StorageId
from inplace.reading.trace.checkpoints import Checkpoint, checkpoints, frame_of, written_since
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place
from inplace.reading.writes.saves import (
    Use,
    counted_writes,
    culprits_of,
    names_of_use,
    pending_uses,
    refused_uses,
    touches,
    writes_after,
)
from inplace.reading.writes.unrecorded_writes import unrecorded_writers
from inplace.reading.writes.within import modules_within

_MOST = 4  # calls told of one refusal of which no node is known
_ENDINGS = {
    "saved detached": frozenset({"detach_"}),
    "slope": frozenset({"leaky_relu", "leaky_relu_", "rrelu", "rrelu_"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleSave(Finding):
    """A saved tensor whose version has moved on: backward raises where it reads it.

    `disjoint` is whether the bytes written and the bytes saved share no byte: only the counter is shared.
    A checkpoint's save has no node in the graph that was looked at.
    It is `pending` where no backward has come yet, and the graph that needs it lives on in a session.
    `how`: by its `version`, or because the tensor was `detached` in place, or because a `slope` can't be told from what
    an activation in place has left; no node is known then.
    `within` are the modules that wrote and that saved, where one call of the user's ran both: it has no name for that
    tensor. Each is empty where no module was seen.
    """

    kind = "saved-tensor-modified"
    keeps_values = True
    node: NodeId | None
    saved: str
    storage: StorageId | None
    version_saved: int | None
    version_now: int | None
    disjoint: bool = False
    pending: bool = False
    how: Literal["version", "detached", "slope"] = "version"
    within: tuple[str, str] | None = None

    @property
    def stands(self) -> bool:
        """Whether the graph is waiting for a backward that would raise."""
        return self.pending and self.severity == "warning"

    def storages(self) -> tuple[StorageId, ...]:
        """The storage that was saved."""
        return () if self.storage is None else (self.storage,)

    def broken(self) -> Broken | None:
        """The save that backward refused."""
        if self.node is None:
            return None
        return Broken(self.node, self.saved, "stale", (self.version_saved, self.version_now))

    def cures(self) -> tuple[Cure, ...]:
        """Not to write, to save or to write to a copy, to write later, or to run the forward later."""
        copies = (Cure.OUT_OF_PLACE, Cure.NO_FLAG, Cure.CLONE_SAVED, Cure.CLONE_BEFORE)
        return (*copies, Cure.BEHIND_BACKWARD, Cure.CARRIED_DETACHED, Cure.FORWARD_AGAIN)


def stale_saves(index: Index) -> Iterator[Finding]:
    """Yield saved tensors that a backward refused, the one it met first in front; not those of custom functions."""
    found: dict[object, StaleSave] = {}
    for one in refused_uses(index):
        if not one.is_of_custom:
            finding = _stale(index, one)
            known = found.get(finding.told_by(index.trace))
            if known is not None:  # another save on the same line: what it is called belongs to it too
                finding = replace(known, names=tuple(dict.fromkeys([*known.names, *finding.names])))
            found[finding.told_by(index.trace)] = finding
    yield from found.values()
    yield from _of_checkpoints(index)
    yield from _of_ending(index)
    yield from _pending(index, {finding.lines for finding in found.values()})


def _of_checkpoints(index: Index) -> Iterator[Finding]:
    """Yield the inputs of checkpoints that were written since, where a backward raised and has found no other stale.

    A checkpoint that is not reentrant saves its inputs by a node of its own, to which no path of the loss leads
    (`torch/utils/checkpoint.py`, `_NoopSaveInputs`), and unpacks them once backward comes to what it has to recompute.
    """
    refused = {one.walk.step for one in refused_uses(index)}
    raised = index.history.columns.raised
    backwards = [walk.step for walk in index.trace.walks if walk.is_backward and walk.step in raised]
    for step in backwards:
        if step not in refused and raised[step].type == "RuntimeError":
            for region in checkpoints(index, step):
                write = next((w for one in region.inputs for w in written_since(index, one, region.begin, step)), None)
                if write is not None:
                    yield _of_checkpoint(index, region, write, step)


def _of_checkpoint(index: Index, region: Checkpoint, write: Write, step: int) -> StaleSave:
    writes = [*written_since(index, write.before.tensor, region.begin, step)]
    culprits = culprits_of(index, writes)
    made = index.history.maker(write.before.tensor, region.begin)
    places = [*culprits, region.place, index.places.of(made) if made is not None else None]
    names = index.names.told(tensors=[write.before.tensor], places=places)
    return StaleSave(
        severity="error",
        culprits=culprits,
        victim=Victim(region.place, ""),
        names=names,
        node=None,
        saved="input",
        storage=write.before.storage,
        at=step,
        version_saved=write.before.version,
        version_now=writes[-1].after.version,
    )


def _of_ending(index: Index) -> Iterator[Finding]:
    """What backward refused of a save whose version stands still: detached in place, or made by a negative slope."""
    ending = index.ending
    labels = _ENDINGS.get(ending.what) if ending is not None else None
    if ending is None or labels is None or ending.call is None:
        return
    before = list(index.history.calls_of(lambda function: function.label in labels, ending.call.step))
    places = dict.fromkeys(place for call in before[-_MOST:] for place in index.places.chain(call))
    given = [index.trace.states[call.inputs[0].before] for call in before[-_MOST:] if call.inputs]
    if not places:
        return
    yield StaleSave(
        severity="error",
        culprits=tuple(places),
        victim=Victim.at(ending.place),
        names=index.names.told(tensors=[state.tensor for state in given], places=[*places]),
        node=None,
        saved="",
        storage=given[-1].storage if given else None,
        version_saved=None,
        version_now=None,
        how="detached" if ending.what == "saved detached" else "slope",
        at=ending.call.step,
    )


def _pending(index: Index, told: AbstractSet[object]) -> Iterator[Finding]:
    """Yield, in a session, saves of graphs that live on which the run has overwritten: a later cell may go backward.

    Of a run that goes on this is not asked before its end.
    Parameters are written by every training step, and the graph of an evaluation may be left over: that is an info.
    """
    if not index.trace.is_session or index.trace.goes_on:
        return
    for one in pending_uses(index):
        counted = counted_writes(index, one)
        if not counted:
            continue
        leaf = all(write.before.is_leaf and write.before.requires_grad for write in counted)
        first, begin = counted[0].call.step, index.trace.begin
        finding = replace(_stale(index, one), severity="info" if leaf else "warning", pending=True, at=first)
        if first < begin:  # it was broken before: to write once more breaks nothing
            before = [write for write in counted if write.call.step < begin]
            finding = replace(finding, culprits=culprits_of(index, before))
        if finding.lines not in told and finding.culprits:
            yield finding


def _stale(index: Index, one: Use) -> StaleSave:
    counted = counted_writes(index, one)
    culprits = culprits_of(index, counted or writes_after(index, one)) or unrecorded_writers(index, one)
    place = index.place_of_node(one.node.id) or _checkpoint_of(index, one.node.id)
    return StaleSave(
        severity="error",
        culprits=culprits,
        victim=Victim.at(place, one.node.name),
        names=names_of_use(index, one, culprits, place),
        node=one.node.id,
        saved=one.saved.name,
        storage=one.saved.storage,
        at=one.walk.step,
        version_saved=one.use.version_saved,
        version_now=one.use.version,
        within=modules_within(index, counted[0].call, one.node.id, one.saved.storage) if counted else None,
        disjoint=bool(counted) and all(_beside(index, one, write) for write in counted),
    )


def _beside(index: Index, one: Use, write: Write) -> bool:
    """Whether a write went to other bytes of the storage that was saved."""
    return write.after.storage == one.saved.storage and not touches(index, one.saved, write.after)


def _checkpoint_of(index: Index, node: NodeId) -> Place | None:
    """Where `checkpoint` was called, for the node of a reentrant one."""
    following = index.custom.following(node)
    frame = frame_of(index, index.trace.calls[following].stack) if following is not None else None
    return index.places.at(frame, None) if frame is not None else None

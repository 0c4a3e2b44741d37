"""saved-tensor-modified: backward refused a saved tensor, since somebody has written to it."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from inplace.checks.finding import Broken, Cure, Finding, Victim
from inplace.facts.model import NodeId, StorageId
from inplace.reading.index import Index
from inplace.reading.saves import (
    Use,
    counted_writes,
    culprits_of,
    names_of_use,
    pending_uses,
    refused_uses,
    touches,
    writes_after,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleSave(Finding):
    """A saved tensor whose version has moved on: backward raises where it reads it.

    `disjoint` is whether the bytes written and the bytes saved share no byte: only the counter is shared.
    It is `pending` where no backward has come yet, and the graph that needs it lives on in a session.
    """

    kind = "saved-tensor-modified"
    keeps_values = True
    node: NodeId
    saved: str
    storage: StorageId | None
    version_saved: int | None
    version_now: int | None
    disjoint: bool = False
    pending: bool = False

    @property
    def stands(self) -> bool:
        """Whether the graph is waiting for a backward that would raise."""
        return self.pending and self.severity == "warning"

    def storages(self) -> tuple[StorageId, ...]:
        """The storage that was saved."""
        return () if self.storage is None else (self.storage,)

    def broken(self) -> Broken:
        """The save that backward refused."""
        return Broken(self.node, self.saved, "stale", (self.version_saved, self.version_now))

    def cures(self) -> tuple[Cure, ...]:
        """Not to write, to write to a copy, to write later, or to save a copy."""
        return (Cure.OUT_OF_PLACE, Cure.NO_FLAG, Cure.CLONE_BEFORE, Cure.BEHIND_BACKWARD, Cure.CLONE_SAVED)


def stale_saves(index: Index) -> Iterator[Finding]:
    """Yield saved tensors that a backward refused, the one it met first in front; not those of custom functions."""
    found: dict[object, Finding] = {}
    for one in refused_uses(index):
        if not one.node.custom:
            finding = _stale(index, one)
            found.setdefault(finding.told_by(index.trace), finding)
    yield from found.values()
    yield from _pending(index, {finding.lines for finding in found.values()})


def _pending(index: Index, told: AbstractSet[object]) -> Iterator[Finding]:
    """Yield, in a session, saves of graphs that live on which the run has overwritten: a later cell may go backward.

    Parameters are written by every training step, and the graph of an evaluation may be left over: that is an info.
    """
    if not index.trace.runs:
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
    culprits = culprits_of(index, counted or writes_after(index, one))
    place = index.place_of_node(one.node.id)
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
        disjoint=bool(counted) and not any(touches(index, one.saved, write.after) for write in counted),
    )

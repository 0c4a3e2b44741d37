"""silent-corruption: backward computed with other values than were saved, since no version counter saw the write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inplace.checks.finding import Broken, Cure, Finding, Victim
from inplace.facts.model import NodeId, StorageId
from inplace.reading.index import Index
from inplace.reading.saves import Escape, culprits_of, names_of_use, unseen_uses


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenWrite(Finding):
    """A write to saved bytes that the save's counter does not show: the gradient is silently wrong."""

    kind = "silent-corruption"
    keeps_values = True
    node: NodeId
    saved: str
    storage: StorageId | None
    how: Escape

    def storages(self) -> tuple[StorageId, ...]:
        """The storage that was saved."""
        return () if self.storage is None else (self.storage,)

    def broken(self) -> Broken:
        """The save whose values are others now."""
        return Broken(self.node, self.saved, "silent")

    def cures(self) -> tuple[Cure, ...]:
        """To write later, to write to a copy, or to save a copy."""
        return (Cure.BEHIND_BACKWARD, Cure.CLONE_BEFORE, Cure.CLONE_SAVED)


def unseen_writes(index: Index) -> Iterator[Finding]:
    """Yield writes to saved bytes that the save's version does not show: backward computes with the new values."""
    found: dict[object, Finding] = {}
    for one, unseen in unseen_uses(index):
        if one.node.custom and not one.saved.counted:
            continue  # kept on `ctx`: told as a fault of the custom function
        culprits = culprits_of(index, unseen.writes, unseen.changes)
        place = index.place_of_node(one.node.id)
        finding = UnseenWrite(
            severity="warning",
            culprits=culprits,
            victim=Victim.at(place, one.node.name),
            names=names_of_use(index, one, culprits, place),
            node=one.node.id,
            saved=one.saved.name,
            storage=one.saved.storage,
            how=unseen.how,
            at=one.walk.step,
        )
        found.setdefault(finding.told_by(index.trace), finding)
    yield from found.values()

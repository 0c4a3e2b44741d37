"""safe-in-place: an in-place call on a tensor of a graph that harms nothing, and what its node keeps instead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inplace.checks.finding import Finding, Victim
from inplace.facts.model import Node, StorageId
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index
from inplace.reading.writes.within import modules_within

_MOST = 24  # different lines that are told


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeWrite(Finding):
    """An in-place call that harms nothing.

    `node` made the value that was overwritten (`AddmmBackward0`), `saved` is what it keeps instead (`mat1`, `mat2`).
    `within` are the modules that wrote and that made it, where one call of the user's ran both.
    """

    kind = "safe-in-place"
    reassures = True
    node: str
    saved: tuple[str, ...]
    within: tuple[str, str] | None = None


def safe_writes(index: Index) -> Iterator[Finding]:
    """Yield the in-place calls through which a gradient flows and which no backward refused or got wrong.

    Told only where a backward ran through the node whose result was overwritten, so that it is observed, not supposed,
    and not of a recording that is not whole: what is missing may be the harm.
    """
    if index.trace.notes:
        return
    raised = index.history.columns.raised
    ran = [walk for walk in index.trace.walks if walk.is_backward and walk.step not in raised]
    walked = {node for walk in ran for node in walk.reached}
    spoiled = _spoiled(index)
    told: set[object] = set()
    for write in index.history.writes:
        node = index.trace.node_by_id.get(write.before.node) if write.before.node is not None else None
        storage = write.before.storage
        place = index.places.of(write.call)
        if node is None or node.id not in walked or storage is None or place is None or write.call.raised is not None:
            continue
        key = place.spot
        if storage in spoiled or key in told or len(told) >= _MOST or not write.counted or write.after.node == node.id:
            continue
        told.add(key)
        yield _finding(index, write, node, storage)


def _spoiled(index: Index) -> set[StorageId]:
    """The storages of which some save went stale, or changed unseen."""
    found = set()
    for walk in index.trace.walks:
        for use in walk.uses:
            saved = index.trace.node_by_id[use.node].saved[use.saved]
            if saved.storage is not None and (use.version != use.version_saved or use.changed):
                found.add(saved.storage)
    return found


def _finding(index: Index, write: Write, node: Node, storage: StorageId) -> SafeWrite:
    made = index.place_of_node(node.id)
    culprits = index.places.chain(write.call)
    return SafeWrite(
        severity="info",
        culprits=culprits,
        victim=Victim.at(made, node.name),
        names=index.names.told(tensors=[write.before.tensor], places=culprits),
        node=node.name,
        saved=tuple(saved.name for saved in node.saved if saved.storage != storage),
        within=modules_within(index, write.call, node.id, storage),
    )

"""silent-corruption: backward computed with other values than were saved, since no version counter saw the write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inplace.checks.finding import Broken, Cure, Finding, Victim
from inplace.facts.model import ContentChange, Kind, NodeId, StorageId
from inplace.facts.rows import some
from inplace.reading.trace.gradient_events import is_in_step
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place
from inplace.reading.writes.receivers import ChangedReceiver, changed_receivers
from inplace.reading.writes.recomputed import Recomputed, recomputed_otherwise
from inplace.reading.writes.saves import Escape, Unseen, culprits_of, names_of_use, unseen_uses
from inplace.reading.writes.unfollowed import Unfollowed, unfollowed_writes

_NEAR = 1_000  # calls among which one is looked for that was given what has changed


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenWrite(Finding):
    """A write to saved bytes that the save's counter does not show: the gradient is silently wrong.

    Where it is `unfollowed` nothing was saved, and the graph has not recorded the write: the gradient is that of the
    values before. Where it is a `receiver` an argument of the same statement read what the statement had changed
    before; `argument` is that, and no node is concerned. A checkpoint read other values when backward ran it again
    (`recomputed`), as a module of a library had itself written them (`rewritten`), or went `another way`; `argument` is
    the call that had been made in its place. Where it is `unrecorded` there is no culprit: the bytes changed `between`
    two calls, none of which has shown that, and `argument` is the call between them of foreign code, or of an
    optimizer, that was given them, if there is one.
    """

    kind = "silent-corruption"
    keeps_values = True
    node: NodeId | None
    saved: str
    storage: StorageId | None
    how: Escape | Literal["unfollowed", "receiver", "recomputed", "rewritten", "another way"]
    argument: Place | None = None
    processes: tuple[int, ...] = ()
    between: tuple[Place | None, Place | None] | None = None

    @property
    def yields(self) -> bool:  # type: ignore[override]  # the other kinds say it of all of theirs
        """Whether another finding about the write says more of it: who reads under another name what it changed."""
        return self.how == "unfollowed"

    def storages(self) -> tuple[StorageId, ...]:
        """The storage that was saved."""
        return () if self.storage is None else (self.storage,)

    def broken(self) -> Broken | None:
        """The save whose values are others now."""
        if self.node is None or self.how == "unfollowed":
            return None
        return Broken(self.node, self.saved, "silent")

    def bounds(self) -> tuple[Place, ...]:
        """The calls between which bytes changed that nobody was seen to write."""
        begin, end = self.between or (None, None)
        return () if begin is None or end is None else (begin, end)

    def cures(self) -> tuple[Cure, ...]:
        """To save a copy, to write to one, or to write later.

        A collective is not moved behind backward: that other ranks would meet it there is not known of this one. Nor is
        what another process does.
        """
        if self.how == "unfollowed":
            return (Cure.WRITE_RECORDED,)
        if self.how in {"receiver", "begun", "rewritten", "another way", "unrecorded"}:
            return ()
        if self.how in {"broadcast", "collective", "elsewhere", "shared"}:
            return (Cure.CLONE_SAVED,)
        if self.how == "recomputed":
            return (Cure.BEHIND_BACKWARD,)
        ways = (Cure.CLONE_SAVED, Cure.WRAPPED_COPY, Cure.CLONE_BEFORE)
        return (*ways, Cure.BEHIND_BACKWARD, Cure.WRITE_RECORDED)


def unseen_writes(index: Index) -> Iterator[Finding]:
    """Yield writes to saved bytes that the save's version does not show: backward computes with the new values."""
    found: dict[object, Finding] = {}
    for one, unseen in unseen_uses(index):
        if one.node.custom and not one.saved.counted:
            continue  # kept on `ctx`: told as a fault of the custom function
        culprits = culprits_of(index, unseen.writes, unseen.changes)
        place = index.place_of_node(one.node.id)
        meant = one.saved.storage is not None and _is_trained_by_all(index, unseen, one.saved.storage)
        finding = UnseenWrite(
            severity="info" if meant else "warning",
            culprits=culprits,
            victim=Victim.at(place, one.node.name),
            names=names_of_use(
                index,
                one,
                () if unseen.how == "shared" else culprits,
                place,
                is_elsewhere=unseen.how == "elsewhere",
            ),
            node=one.node.id,
            saved=one.saved.name,
            storage=one.saved.storage,
            how=unseen.how,
            at=one.walk.step,
            processes=_processes(index, unseen, one.saved.storage),
            argument=_taker(index, unseen) if unseen.how == "unrecorded" else None,
            between=_between(index, unseen) if unseen.how == "unrecorded" else None,
        )
        found.setdefault(finding.told_by(index.trace), finding)
    yield from found.values()
    told = {finding.lines for finding in found.values()}
    yield from (finding for one in unfollowed_writes(index) if (finding := _unfollowed(index, one)).lines not in told)
    yield from (_receiver(index, one) for one in changed_receivers(index))
    yield from (_recomputed(index, one) for one in recomputed_otherwise(index))


def _between(index: Index, unseen: Unseen) -> tuple[Place | None, Place | None]:
    """The last call by which the bytes were as they had been saved, and the first by which they were not.

    They were compared before a backward, or when a call had ended.
    """
    first = _first(unseen)
    begin = index.places.of(index.trace.calls[first.after]) if first.after >= 0 else None
    end = index.trace.calls[first.before]
    if end.function.kind is not Kind.BACKWARD:
        end = index.trace.calls[first.before - 1]
    return begin, index.places.of(end)


def _taker(index: Index, unseen: Unseen) -> Place | None:
    """The one line between these calls that gave the bytes to code of which nobody knows what it writes."""
    first, trace, found = _first(unseen), index.trace, dict[object, Place]()
    for call in some(trace.calls, range(first.after + 1, min(first.before, first.after + _NEAR))):
        is_known = call.function.name.startswith("torch.") and not call.function.name.startswith("torch.optim.")
        if not is_known and any(trace.states[one.before].storage == first.storage for one in call.inputs):
            found.update({place.spot: place for place in index.places.chain(call)[:1]})
    return next(iter(found.values())) if len(found) == 1 else None


def _first(unseen: Unseen) -> ContentChange:
    return min(unseen.changes, key=lambda change: (change.after, change.before))


def _is_trained_by_all(index: Index, unseen: Unseen, storage: StorageId) -> bool:
    """Whether others trained the parameters that this process trains too: so they are meant to change (Hogwild)."""
    if unseen.how != "elsewhere" or unseen.writes or storage not in index.history.leaf_storages:
        return False
    here = (write.call.stack for write in index.history.writes_to.get(storage, ()))
    there = (change.stack for change in unseen.changes if change.stack is not None)
    return any(map(is_in_step, here)) and all(map(is_in_step, there))


def _processes(index: Index, unseen: Unseen, storage: StorageId | None) -> tuple[int, ...]:
    """The other processes that wrote, or, where that is not known, those that have the bytes."""
    if unseen.how == "shared":
        return index.shared[storage].processes if storage in index.shared else ()
    return tuple(sorted({process for change in unseen.changes for process in change.processes}))


def _receiver(index: Index, one: ChangedReceiver) -> UnseenWrite:
    return UnseenWrite(
        severity="warning",
        culprits=(one.chain,),
        victim=None,
        names=index.names.told(first=[one.receiver], tensors=[one.state.tensor], places=[one.chain]),
        node=None,
        saved="",
        storage=one.state.storage,
        how="receiver",
        argument=one.argument,
    )


def _recomputed(index: Index, one: Recomputed) -> UnseenWrite:
    places = [place for call in (one.twice, one.once) if call is not None for place in index.places.chain(call)[:1]]
    culprits = culprits_of(index, one.writes) if one.writes else tuple(places)
    tensors = [] if one.tensor is None else [one.tensor]
    named = [] if one.is_own else [*culprits, one.checkpoint]  # lines that call a module mention nothing of what it has
    how: Literal["recomputed", "rewritten"] = "rewritten" if one.is_own else "recomputed"
    return UnseenWrite(
        severity="warning",
        culprits=culprits,
        victim=Victim.at(one.checkpoint),
        names=index.names.told(tensors=tensors, places=named),
        node=None,
        saved="",
        storage=one.writes[0].before.storage if one.writes else None,
        how=how if one.writes else "another way",
        argument=places[1] if len(places) > 1 else None,
        at=one.step,
    )


def _unfollowed(index: Index, one: Unfollowed) -> UnseenWrite:
    maker = index.history.maker(one.live, one.step)
    place = index.places.of(maker) if maker is not None else None
    return UnseenWrite(
        severity="warning",
        culprits=one.places,
        victim=Victim.at(place, index.trace.node_by_id[one.node].name),
        names=index.names.told(tensors=[one.live], places=[*one.places, place]),
        node=one.node,
        saved="",
        storage=one.storage,
        how="unfollowed",
        at=one.backward,
    )

"""shared-reference: names or container items that reach the same bytes, where one was written and another is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Literal

from inplace.checks.finding import Cure, Finding, Severity, Victim
from inplace.facts.model import Call, StorageId, TensorState
from inplace.reading.ranks.buckets import kept_gradients
from inplace.reading.sharing.aliases import AliasRead, alias_reads
from inplace.reading.sharing.arguments import WrittenArgument, written_arguments, written_defaults, written_items
from inplace.reading.sharing.arrays import ArrayRead, ForeignWrite, array_reads, collected_arrays, foreign_writes
from inplace.reading.sharing.batches_changed import changed_batches
from inplace.reading.sharing.cached_results import written_results
from inplace.reading.sharing.changed_again import changed_again
from inplace.reading.sharing.collected import collected_by_name
from inplace.reading.sharing.data_shared import data_shared
from inplace.reading.sharing.followed import followed
from inplace.reading.sharing.handed import kept_twice
from inplace.reading.sharing.in_place_results import in_place_results
from inplace.reading.sharing.items_kept import kept_items
from inplace.reading.sharing.items_taken import changed_items
from inplace.reading.sharing.joined_items import JoinedItems, joined_items, put_there
from inplace.reading.sharing.kept_bytes import KeptBytes, compared, gradients_read_back, read_back, restored
from inplace.reading.sharing.kept_modules import kept_modules
from inplace.reading.sharing.kept_objects import KeptObject, KeptObjects
from inplace.reading.sharing.loaded_states import LoadedState, loaded_states
from inplace.reading.sharing.one_array import OneArray, tensors_of_one_array
from inplace.reading.sharing.one_gradient import gradients_of_two
from inplace.reading.sharing.refilled import Refilled, refilled_arrays
from inplace.reading.sharing.repeated import Repeated, repeated_modules
from inplace.reading.sharing.shared_defaults import written_for_all
from inplace.reading.sharing.sharing_names import sharing_names
from inplace.reading.sharing.snapshots_written import written_snapshots
from inplace.reading.sharing.sums_divided import divided_sums
from inplace.reading.sharing.twins import Twins, twins
from inplace.reading.sharing.vectors_shared import vectors_shared
from inplace.reading.source.code import root_of
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place
from inplace.reading.writes.swaps import swaps

_MOST = 6


_How = Literal[
    "repeated",
    "snapshot",
    "swap",
    "compared",
    "restored",
    "kept",
    "argument",
    "result",
    "default",
    "class",
    "handed",
    "item",
    "cached",
    "foreign",
    "array",
    "refilled",
    "across",
    "twins",
    "modules",
    "made once",
    "bucket",
    "groups",
    "data",
    "state",
    "states",
    "sum",
]
# Of a write that another has told more of, no more is said, nor of a line that takes one for two.
_PLAINEST: frozenset[_How] = frozenset({"kept", "foreign", "across", "result"})
_COMPARED: frozenset[_How] = frozenset({"compared", "twins"})
_CURES: dict[_How, tuple[Cure, ...]] = {
    "groups": (),
    "data": (),
    "state": (),
    "states": (),
    "sum": (),
    "foreign": (),
    "array": (),
    "across": (),
    "class": (),
    "cached": (),
    "handed": (Cure.COPY_MADE,),
    "modules": (),
    "made once": (),
    "swap": (Cure.COPY_SWAPPED,),
    "twins": (Cure.MADE_APART,),
    "argument": (Cure.ARGUMENT_SPARED,),
    "result": (Cure.ARGUMENT_SPARED,),
    "default": (Cure.MADE_EACH_TIME,),
    "item": (Cure.ITEM_COPIED,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedReference(Finding):
    """Names or container items that reach the same bytes, where one of them was written and another read later.

    `how`: `repeated` (one tensor several times in a list), `snapshot` (an alias kept across a write), `swap`;
    `compared` (a tensor with itself), `restored` (copied onto itself) and `kept` (read back in another way), where the
    victim is the call that did so, and `keep` the line that kept the other reference; an `argument` that a function
    wrote in place for its own use, one whose `result` has another name, one that was `handed` to a function which gave
    it back as if it were another, a `default` one that it wrote in each of its calls, one that a `class` has for all
    its objects, and an `item` of a data set, where `keep` is the line that handed it over, made it, or took it out;
    `foreign` memory (of an array); several tensors over one `array` that live at once, or that was `refilled`
    between them; `twins` (names for two things
    that are one); `modules` (an expression that repeats one module; `made once`, if it is a default);
    `data` (parameters that `keep` gave the bytes of a vector, which they were to have the values of);
    `state` (what `keep` kept of an optimizer, which loads it again as its steps have left it), `states` (what `keep`
    loads of another optimizer, and both go on writing);
    a `sum` that `keep` adds to, and that was divided in place, which the victim had done again;
    or `groups` (an optimizer refused a parameter that is in two of its groups; it need not have been written).
    `reaching` are the names that were seen to reach the bytes; `names` also has those the places mention.
    `is_alone` is whether a copy of what `keep` keeps is enough to mend it.
    """

    kind = "shared-reference"
    further_role = "alias"
    storage: StorageId | None
    how: _How
    reaching: tuple[str, ...]
    keep: Place | None = None
    is_alone: bool = True

    def storages(self) -> tuple[StorageId, ...]:
        """The storage that is shared."""
        return () if self.storage is None else (self.storage,)

    def cures(self) -> tuple[Cure, ...]:
        """A copy where it was kept, or of both ends of a swap."""
        return _CURES.get(self.how, (Cure.COPY_KEPT, Cure.COPY_MADE)) if self.is_alone else ()

    def kept_at(self) -> Place | None:
        """The line that kept the other reference."""
        return self.keep

    def is_told_with(self, broken: AbstractSet[StorageId]) -> bool:
        """Whether a save of these bytes is broken."""
        return self.how == "snapshot" and self.storage in broken


def shared_references(index: Index) -> Iterator[Finding]:
    """Yield repeated items first (they are hardly ever meant), then swaps, then names that share what was written."""
    told: set[StorageId | None] = set()
    objects = KeptObjects(index)
    kept = [_kept_object(index, one, "compared") for one in objects.compared()]
    kept += [_read_back(index, one, "compared") for one in compared(index)]
    kept += [_read_back(index, one, "restored") for one in restored(index)]
    kept += [_kept_object(index, one, how) for how, found in _by_line(index) for one in found]
    kept += [_kept_object(index, one, "kept") for one in (*objects.read_in_turn(), *data_shared(index))]
    kept += [_read_back(index, one, "kept") for one in (*read_back(index), *gradients_read_back(index))]
    kept += [_kept_object(index, one, "kept") for one in gradients_of_two(index)]
    kept += [_read_alias(index, one) for one in alias_reads(index)]
    kept += [_written_argument(index, one, "argument") for one in written_arguments(index)]
    kept += [_written_argument(index, one, "default") for one in written_defaults(index)]
    kept += [_kept_object(index, one, "handed") for one in kept_twice(index, objects.origins)]
    kept += [_written_argument(index, one, "class") for one in written_for_all(index)]
    items = *written_items(index), *changed_items(index), *kept_items(index), *changed_batches(index)
    kept += [_written_argument(index, one, "item") for one in items]
    kept += [_written_argument(index, one, "cached") for one in written_results(index)]
    kept += [*(_twins(index, one) for one in twins(index)), *(_loaded(index, one) for one in loaded_states(index))]
    kept += [_modules(index, one) for one in repeated_modules(index)]
    kept += [_kept_object(index, one, "kept") for one in collected_by_name(index, objects)]
    kept += [_read_array(index, one) for one in (*array_reads(index), *collected_arrays(index))]
    kept += [
        _kept_object(index, one, "kept", "info") for one in (*kept_modules(index, objects), *followed(index, objects))
    ]
    kept += [_read_back(index, one, "kept") for one in written_snapshots(index)]
    kept += [_foreign(index, one) for one in foreign_writes(index)]
    kept += _over_arrays(index, refilled := list(refilled_arrays(index)))
    kept += [_written_argument(index, one, "result") for one in in_place_results(index)]
    kept += [replace(_written_argument(index, one, "argument"), severity="info") for one in changed_again(index)]
    once: dict[object, SharedReference] = {}
    spots: set[object] = set()
    reads: set[object] = set()
    anew = {one.state.storage for one in refilled}
    first = [_repeated(index, one) for one in joined_items(index, objects) if one.storage not in anew]
    first += [_finding(index, one.after.storage, [one, two], [], "swap", "warning") for one, two in swaps(index)]
    for finding, storages in _joined((*first, *kept)):
        writer = finding.culprits[0].spot if finding.culprits else None
        read = finding.victim.place.spot if finding.victim is not None and finding.victim.place is not None else None
        again = finding.how in _COMPARED and read in reads
        if finding.lines in once or again or (finding.how in _PLAINEST and writer in spots):
            continue  # another has told more of that write, or of that line
        once[finding.lines] = finding
        spots.add(writer)
        reads.update([read] if finding.how in _COMPARED else [])
        told |= storages
        yield finding
    buckets: dict[object, SharedReference] = {}
    for finding in (_bucket(index, *one) for one in kept_gradients(index)):
        told.add(buckets.setdefault(finding.lines, finding).storage)
    yield from buckets.values()
    for storage, writes, makers in sharing_names(index):
        if storage not in told and not any(_tells_of(one, index, writes, makers) for one in once.values()):
            yield _finding(index, storage, writes, makers, "snapshot", "info")
    yield from _in_two_groups(index)


def _by_line(index: Index) -> Iterator[tuple[_How, Iterator[KeptObject]]]:
    """What was kept by a line of which the sentences tell in words of their own."""
    yield "data", vectors_shared(index)
    yield "sum", divided_sums(index)


def _tells_of(told: SharedReference, index: Index, writes: list[Write], makers: list[Call]) -> bool:
    """Whether a finding has all lines that wrote some bytes, and the one that kept them: of a whole `state_dict`."""
    spots = {place.spot for place in told.places}
    kept = {place.spot for call in makers for place in index.places.chain(call)}
    wrote = [index.places.of(write.call) for write in writes]
    return told.keep is not None and told.keep.spot in kept and all(one is None or one.spot in spots for one in wrote)


def _joined(findings: Iterable[SharedReference]) -> Iterator[tuple[SharedReference, set[StorageId | None]]]:
    """The findings and the storages of each; what several calls of one line show alike is one that marks each call."""
    found: dict[object, tuple[SharedReference, set[StorageId | None]]] = {}
    for one in findings:
        if one.keep is None:
            found.setdefault(one.lines, (one, {one.storage}))
            continue
        lines = tuple((place.label, place.file, place.position.line) for place in one.culprits)
        spots = [place.spot for place in (*one.culprits[:1], one.keep, *one.places[len(one.culprits) :])]
        key = one.how, one.severity, lines, tuple(spots)
        first, storages = found.setdefault(key, (one, {one.storage}))
        if first.lines != one.lines:
            places = tuple({place.spot: place for place in (*first.culprits, *one.culprits)}.values())
            names, reaching = (
                tuple(dict.fromkeys(both)) for both in ((*first.names, *one.names), (*first.reaching, *one.reaching))
            )
            joined = replace(first, culprits=places, names=names, reaching=reaching)
            found[key] = joined, storages | {one.storage}
    yield from found.values()


def _in_two_groups(index: Index) -> Iterator[SharedReference]:
    """An optimizer refused a parameter that it was given twice: the parameters that two names of its line reach."""
    ending = index.ending
    if ending is None or ending.what != "parameter twice":
        return
    given = index.names.at(ending.place)
    reached = {tensor: [name for name in names if root_of(name) in given] for tensor, names in index.names.seen.items()}
    shared = next((names for names in reached.values() if len({root_of(name) for name in names}) > 1), [])
    yield SharedReference(
        severity="error",
        culprits=ending.places,
        victim=None,
        names=tuple(dict.fromkeys([*shared, *given])),
        storage=None,
        how="groups",
        reaching=tuple(shared),
        at=len(index.trace.calls),
    )


def _repeated(index: Index, one: JoinedItems) -> SharedReference:
    """A list given to one call holds the same bytes twice, and they were written after they first went out."""
    if one.kept is not None:
        return _kept_object(index, one.kept, "repeated")
    found = _finding(index, one.storage, one.writes, one.calls, "repeated", _grave(one.is_certain))
    return replace(found, culprits=(*one.changes, *found.culprits)[:_MOST])


def _bucket(index: Index, write: Write, names: list[str]) -> SharedReference:
    """A gradient that was kept; put into a list again and again, it was collected while it was overwritten."""
    collected = len([path for path in names if path.endswith("]")]) > 1
    sources = index.history.given_out([write.before.tensor], write.call.step)
    found = _finding(index, write.before.storage, [write], sources, "bucket", _grave(collected))
    return replace(found, names=tuple(dict.fromkeys([*names, *found.names])), reaching=tuple(names))


def _told(
    index: Index,
    how: _How,
    severity: Severity,
    state: TensorState,
    places: Iterable[Place],
    reader: Place | None,
    first: Iterable[str | None],
    keep: Place | None,
) -> SharedReference:
    """The lines that wrote a tensor and kept it, the line that read it, and first of all names how it was spelled."""
    culprits = tuple({place.spot: place for place in places}.values())
    spelled = [name for name in first if name]
    return SharedReference(
        severity=severity,
        culprits=culprits,
        victim=Victim.at(reader),
        names=index.names.told(first=spelled, tensors=[state.tensor], places=[*culprits, reader]),
        storage=state.storage,
        how=how,
        reaching=tuple(index.names.over(state.storage)),
        keep=keep,
    )


def _read_back(index: Index, one: KeptBytes, how: _How) -> SharedReference:
    """Bytes that were kept by reference, written, and compared with, or copied onto, themselves."""
    writers = index.places.chain(one.write.call) if one.write is not None else ()
    keepers = index.places.chain(one.keep)
    keep, read = keepers[0] if keepers else None, index.places.of(one.read)
    return _told(index, how, _grave(one.is_meant_apart), one.kept, (*writers, *keepers), read, [one.shown], keep)


def _kept_object(index: Index, one: KeptObject, how: _How, severity: Severity = "warning") -> SharedReference:
    """A tensor that the source kept without a call, written, and read by what kept it."""
    places = *index.places.chain(one.write), one.keep
    found = _told(index, how, severity, one.state, places, one.reader, [one.shown], one.keep)
    return replace(found, is_alone=one.is_alone)


def _loaded(index: Index, one: LoadedState) -> SharedReference:
    """The state of an optimizer that was loaded without a copy."""
    keep, read = (one.gave, one.loaded) if one.other is None else (one.loaded, one.other)
    places = tuple({place.spot: place for place in (one.stepped, keep)}.values())
    state = index.history.last_state(one.tensor)
    return SharedReference(
        severity="warning",
        culprits=places,
        victim=Victim.at(read),
        names=index.names.told(places=[keep, one.loaded]),
        storage=None if state is None else state.storage,
        how="state" if one.other is None else "states",
        at=one.at,
        reaching=(),
        keep=keep,
    )


def _read_alias(index: Index, one: AliasRead) -> SharedReference:
    """A tensor that was given a second name, written under one of the two, and read under the other."""
    places = *index.places.chain(one.write.call), one.keep
    return _told(index, "kept", _grave(one.is_meant_apart), one.state, places, one.reader, [one.shown], one.keep)


def _written_argument(index: Index, one: WrittenArgument, how: _How) -> SharedReference:
    """An argument, a default or an item that was written to, though it is not the writer's own."""
    places = *index.places.chain(one.write.call), one.keep
    return _told(index, how, "warning", one.write.before, places, index.places.of(one.read), [one.shown], one.keep)


def _read_array(index: Index, one: ArrayRead) -> SharedReference:
    """An array that was kept, and read after the tensor behind it was written."""
    keepers = index.places.chain(one.keep)
    how: _How = "compared" if one.compared else "kept"
    places = *index.places.chain(one.write.call), *keepers
    return _told(index, how, _grave(one.compared), one.write.before, places, one.reader, [one.name], keepers[0])


def _of_array(index: Index, one: OneArray) -> SharedReference:
    """Tensors that a loop made over one array; whether they were meant to follow it nobody knows."""
    read = index.places.of(one.read)
    return _told(index, "array", "info", one.state, [one.keep], read, index.names.at(one.keep), one.keep)


def _over_arrays(index: Index, refilled: list[Refilled]) -> Iterator[SharedReference]:
    """Tensors over one array that was filled anew between them; only where there are none, others that a loop made."""
    for one in refilled:
        read, names = index.places.of(one.read), index.names.at(one.keep)
        yield _told(index, "refilled", "warning", one.state, [one.fill, one.keep], read, names, one.keep)
    if not refilled:
        yield from (_of_array(index, one) for one in tensors_of_one_array(index))


def _twins(index: Index, one: Twins) -> SharedReference:
    """Two names that were meant for two things, and stand for the same."""
    places = *index.places.chain(one.write.call), *([] if one.keep is None else [one.keep])
    return _told(index, "twins", "warning", one.write.before, places, one.reader, [one.shown], one.keep)


def _modules(index: Index, one: Repeated) -> SharedReference:
    """One module several times, whose parameters were trained."""
    places = one.keep, *index.places.chain(one.write.call)
    how: _How = "made once" if one.is_default else "modules"
    return _told(index, how, _grave(one.is_meant_apart), one.write.before, places, None, one.shown, one.keep)


def _grave(is_meant_apart: bool) -> Severity:  # noqa: FBT001  # the one thing it tells
    return "warning" if is_meant_apart else "info"


def _foreign(index: Index, one: ForeignWrite) -> SharedReference:
    """Memory of somebody else's that calls wrote to, or that other processes have too."""
    writers = [place for write in one.writes[:_MOST] for place in index.places.chain(write.call)]
    culprits = tuple({place.spot: place for place in [*writers, *([one.keep] if one.keep else [])]}.values())
    return SharedReference(
        severity="info",
        culprits=culprits[:_MOST],
        victim=None,
        names=index.names.told(first=[one.name], places=culprits[:_MOST], storage=one.storage),
        storage=one.storage,
        how="across" if one.keep is None and one.storage in index.shared else "foreign",
        reaching=(one.name,),
    )


def _finding(
    index: Index, storage: StorageId | None, writes: list[Write], others: list[Call], how: _How, severity: Severity
) -> SharedReference:
    places: dict[object, Place] = {}
    for call in [*(write.call for write in writes), *others]:
        for place in index.places.chain(call):
            places.setdefault(place.spot, place)
    for place in put_there(index, others[-1]) if how == "repeated" else ():
        places.setdefault(place.spot, place)
    culprits = tuple(places.values())[:_MOST]
    return SharedReference(
        severity=severity,
        culprits=culprits,
        victim=None,
        names=index.names.told(first=index.names.over(storage), places=culprits),
        storage=storage,
        how=how,
        reaching=tuple(index.names.over(storage)),
    )

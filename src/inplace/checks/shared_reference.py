"""shared-reference: names or container items that reach the same bytes, where one was written and another is read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from inplace.checks.finding import Cure, Finding, Severity, Victim
from inplace.facts.collectives import REDUCED
from inplace.facts.model import BEFORE, Call, Kind, Name, StorageId, TensorId, TensorState
from inplace.reading.aliases import AliasRead, alias_reads
from inplace.reading.arguments import WrittenArgument, written_arguments, written_defaults, written_items
from inplace.reading.arrays import ArrayRead, ForeignWrite, array_reads, collected_arrays, foreign_writes
from inplace.reading.cached_results import written_results
from inplace.reading.changed_again import changed_again
from inplace.reading.code import root_of
from inplace.reading.collected import collected_by_name
from inplace.reading.data_shared import data_shared
from inplace.reading.followed import followed
from inplace.reading.handed import kept_twice
from inplace.reading.history import SET_ITEM, Write
from inplace.reading.in_place_results import in_place_results
from inplace.reading.index import Index
from inplace.reading.items import value_of
from inplace.reading.items_taken import changed_items
from inplace.reading.kept_modules import kept_modules
from inplace.reading.kept_objects import KeptObject, KeptObjects
from inplace.reading.one_gradient import gradients_of_two
from inplace.reading.place import Place
from inplace.reading.repeated import Repeated, is_initial, repeated_modules
from inplace.reading.shared_defaults import written_for_all
from inplace.reading.sharing import KeptBytes, compared, gradients_read_back, read_back, restored
from inplace.reading.snapshots_written import written_snapshots
from inplace.reading.twins import Twins, twins

_MOST = 6
_JOINING = frozenset({"cat", "stack", "concat", "vstack", "hstack", "tensor"})


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
    "across",
    "twins",
    "modules",
    "bucket",
    "groups",
]
# Of a write that another has told more of, no more is said, nor of a line that takes one for two.
_PLAINEST: frozenset[_How] = frozenset({"kept", "foreign", "across", "result"})
_COMPARED: frozenset[_How] = frozenset({"compared", "twins"})
_CURES: dict[_How, tuple[Cure, ...]] = {
    "groups": (),
    "foreign": (),
    "across": (),
    "class": (),
    "cached": (),
    "handed": (Cure.COPY_MADE,),
    "modules": (),
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
    `foreign` memory (of an array); `twins` (names for two things that are one); `modules` (an expression that repeats
    one module);
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
    kept += [_kept_object(index, one, "kept") for one in (*objects.read_in_turn(), *data_shared(index))]
    kept += [_read_back(index, one, "kept") for one in (*read_back(index), *gradients_read_back(index))]
    kept += [_kept_object(index, one, "kept") for one in gradients_of_two(index)]
    kept += [_read_alias(index, one) for one in alias_reads(index)]
    kept += [_written_argument(index, one, "argument") for one in written_arguments(index)]
    kept += [_written_argument(index, one, "default") for one in written_defaults(index)]
    kept += [_kept_object(index, one, "handed") for one in kept_twice(index, objects.origins)]
    kept += [_written_argument(index, one, "class") for one in written_for_all(index)]
    kept += [_written_argument(index, one, "item") for one in (*written_items(index), *changed_items(index))]
    kept += [_written_argument(index, one, "cached") for one in written_results(index)]
    kept += [_twins(index, one) for one in twins(index)]
    kept += [_modules(index, one) for one in repeated_modules(index)]
    kept += [_kept_object(index, one, "kept") for one in collected_by_name(index, objects)]
    kept += [_read_array(index, one) for one in (*array_reads(index), *collected_arrays(index))]
    kept += [
        _kept_object(index, one, "kept", "info") for one in (*kept_modules(index, objects), *followed(index, objects))
    ]
    kept += [_read_back(index, one, "kept") for one in written_snapshots(index)]
    kept += [_foreign(index, one) for one in foreign_writes(index)]
    kept += [_written_argument(index, one, "result") for one in in_place_results(index)]
    kept += [replace(_written_argument(index, one, "argument"), severity="info") for one in changed_again(index)]
    once: dict[object, SharedReference] = {}
    spots: set[object] = set()
    reads: set[object] = set()
    for finding, storages in _joined((*_repeated(index, objects), *_swaps(index), *kept)):
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
    for finding in _kept_gradients(index):
        told.add(finding.storage)
        yield finding
    yield from _names_sharing(index, told)
    yield from _in_two_groups(index)


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


def _repeated(index: Index, objects: KeptObjects) -> Iterator[SharedReference]:
    """A list given to one call holds the same bytes twice, and they were written after they first went out."""
    told: set[object] = set()
    for call in index.history.calls_of(lambda function: function.label in _JOINING):
        for storage, states in _same_bytes(index, call).items():
            writes = [write for write in index.history.writes_to.get(storage, ()) if write.call.step < call.step]
            sources = _given_out(index, {state.tensor for state in states}, call.step)
            if (storage, call.stack) in told:
                continue
            told.add((storage, call.stack))
            path = next(one.path for one in call.inputs if "[" in one.path).split("[")[0]
            is_known, kept = objects.joined(call, path, states)
            if kept is not None:
                yield _kept_object(index, kept, "repeated")
            elif is_known and writes:  # which of them is not known to have been put there before a write
                yield _finding(index, storage, writes, [*sources, call], "repeated", "info")
            elif writes or _moved_unseen(index, states):  # `cat((x, x))` of what nobody wrote is meant
                yield _finding(index, storage, writes, [*sources, call], "repeated", "warning")
            elif index.trace.storages[storage].external and len({state.tensor for state in states}) > 1:
                yield _finding(index, storage, writes, [*sources, call], "repeated", "info")  # who writes is not seen


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


def _twins(index: Index, one: Twins) -> SharedReference:
    """Two names that were meant for two things, and stand for the same."""
    places = *index.places.chain(one.write.call), one.keep
    return _told(index, "twins", "warning", one.write.before, places, one.reader, [one.shown], one.keep)


def _modules(index: Index, one: Repeated) -> SharedReference:
    """One module several times, whose parameters were trained."""
    places = one.keep, *index.places.chain(one.write.call)
    return _told(index, "modules", _grave(one.is_meant_apart), one.write.before, places, None, one.shown, one.keep)


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


def _same_bytes(index: Index, call: Call) -> dict[StorageId, list[TensorState]]:
    found: dict[tuple[object, ...], list[TensorState]] = defaultdict(list)
    for argument in call.inputs:
        state = index.trace.states[argument.before]
        if "[" in argument.path and state.storage is not None and state.layout.numel:
            found[(argument.path.split("[")[0], state.storage, state.offset, state.layout)].append(state)
    return {states[0].storage: states for states in found.values() if len(states) > 1 and states[0].storage is not None}


def _kept_gradients(index: Index) -> Iterator[SharedReference]:
    """Gradients that the user has kept, and that lie in buckets which a later backward has filled again.

    One that was put into a list again and again was collected while it was overwritten.
    """
    writes: dict[TensorId, list[Write]] = defaultdict(list)
    for write in index.history.writes:
        if write.call.function.name == REDUCED:
            writes[write.before.tensor].append(write)
    told: set[object] = set()
    for tensor, own in writes.items():
        names = [name.path for name in index.trace.names if name.tensor == tensor and name.step != BEFORE]
        if not names or own[0].before.storage is None:
            continue
        collected = len([path for path in names if path.endswith("]")]) > 1
        sources = _given_out(index, [tensor], own[0].call.step)
        severity: Severity = "warning" if collected else "info"
        finding = _finding(index, own[0].before.storage, own[:1], sources, "bucket", severity)
        finding = replace(finding, names=tuple(dict.fromkeys([*names, *finding.names])), reaching=tuple(names))
        if finding.lines not in told:
            told.add(finding.lines)
            yield finding


def _moved_unseen(index: Index, states: list[TensorState]) -> bool:
    """Whether a tensor was seen at different versions though no call is known to have written it (`.grad`)."""
    tensors = {state.tensor for state in states}
    versions = {index.trace.states[s].version for t in tensors for _, s in index.history.sightings.get(t, ())}
    return len(versions) > 1


def _given_out(index: Index, tensors: Iterable[TensorId], before: int) -> list[Call]:
    """The calls before a step that gave out these tensors."""
    steps = {step for tensor in tensors for step in index.history.givers.get(tensor, ()) if step < before}
    return list(index.history.calls_at(sorted(steps)))


def _swaps(index: Index) -> Iterator[SharedReference]:
    """Within one statement a view was overwritten before it was copied from (`x[0], x[1] = x[1], x[0]`)."""
    items = [
        write for write in index.history.writes if write.call.function.label == SET_ITEM and write.call.raised is None
    ]
    for first, second in pairwise(items):
        if index.places.statement_of(first.call) != index.places.statement_of(second.call):
            continue
        value, source = value_of(index, second), value_of(index, first)
        if value is None or source is None or value.storage != first.after.storage:
            continue
        made = index.history.maker(value.tensor, second.call.step)
        if made is None or made.step >= first.call.step or not _written_by(index, first, value):
            continue
        yield _finding(index, value.storage, [first, second], [], "swap", "warning")


def _written_by(index: Index, write: Write, view: TensorState) -> bool:
    """Whether an item assignment wrote the bytes of a view: the same view exists twice when both sides name it."""
    sighted = index.history.states_of(view.tensor)
    values = {state.values for state in sighted if state.values is not None}
    return len(values) > 1 or (len(values) == 0 and index.overlaps.of(write.after, view))


def _names_sharing(index: Index, told: set[StorageId | None]) -> Iterator[SharedReference]:
    """Two variables of the user's reach bytes that were written while both did; of a run that is over.

    The variable of a loop is no second one: it stands for the last of what the loop went through.
    """
    if index.trace.goes_on:
        return
    roots: dict[StorageId, dict[str, None]] = defaultdict(dict)
    paths: dict[StorageId, dict[str, None]] = defaultdict(dict)
    for name in _last_seen(index):
        state = index.history.last_state(name.tensor)
        if state is None or state.storage is None:
            continue
        roots[state.storage][root_of(name.path)] = None
        paths[state.storage][name.path] = None
    for storage, found in sorted(roots.items()):
        writes = index.history.writes_to.get(storage, [])
        many = len(found.keys() - index.definitions.loop_names) > 1 or _items_of_one(paths[storage])
        if storage in told or not many or not writes or _is_one_parameter(index, storage, paths[storage]):
            continue
        writes = _while_shared(index, storage, writes)
        if not writes:
            continue
        given_out = _given_out(index, index.history.tensors_of[storage], len(index.trace.calls))
        makers = [call for call in given_out if call.function.kind is not Kind.BACKWARD]
        yield _finding(index, storage, writes, makers, "snapshot", "info")


def _last_seen(index: Index) -> list[Name]:
    """The names of the last look: of those before, some stand for something else by now."""
    last = max((name.step for name in index.trace.names), default=BEFORE)
    return [name for name in index.trace.names if name.step == last != BEFORE]


def _while_shared(index: Index, storage: StorageId, writes: list[Write]) -> list[Write]:
    """The writes made once tensors with two names were there, without those of a module's own initialisation."""
    over = frozenset(index.history.tensors_of[storage])
    named = {name.path: name.tensor for name in _last_seen(index) if name.tensor in over}
    born = sorted(index.trace.tensors[tensor].first_seen for tensor in named.values())
    later = [write for write in writes if write.call.step >= born[:2][-1]]
    return [write for write in later if not is_initial(write.call)]


def _is_one_parameter(index: Index, storage: StorageId, paths: Iterable[str]) -> bool:
    """Whether some bytes are those of one parameter or leaf that requires grad, and no second variable stands for it.

    A parameter is known to its module, to an optimizer's groups, to lists and to the loops over them, and is meant to
    be the same in all, as it is where two modules have it by one name (`head.weight = embedding.weight`).
    """
    named = {name.tensor for name in _last_seen(index)}
    over = named.intersection(index.history.tensors_of[storage])
    states = [index.history.last_state(tensor) for tensor in over]
    if len(over) != 1 or not all(one is not None and _is_trained(index, one) for one in states):
        return False
    whole = [path for path in paths if not path.endswith("]")]
    own = {path[path.rindex(".") :] if "." in path else path for path in whole}
    return len(own - index.definitions.loop_names) <= 1


def _is_trained(index: Index, state: TensorState) -> bool:
    """Whether a tensor is a leaf that requires grad, or a parameter, which may be frozen at the end."""
    return index.trace.tensors[state.tensor].type == "Parameter" or (state.is_leaf and state.requires_grad)


def _items_of_one(paths: dict[str, None]) -> bool:
    """Whether several items of one plain container are the same bytes."""
    items = [path for path in paths if path.endswith("]")]
    return len(items) > 1


def _stored(index: Index, users: list[Call]) -> list[Place]:
    """Where the items of the list that a call was given were put into it."""
    found = []
    for call in users:
        place = index.places.of(call)
        if place is not None:
            code = index.places.code(place)
            put = code.items_put_into(frozenset(code.roots(place.position)))
            found += [index.places.beside(place, position) for position in put]
    return found


def _finding(
    index: Index, storage: StorageId | None, writes: list[Write], others: list[Call], how: _How, severity: Severity
) -> SharedReference:
    places: dict[object, Place] = {}
    for call in [*(write.call for write in writes), *others]:
        for place in index.places.chain(call):
            places.setdefault(place.spot, place)
    for place in _stored(index, others[-1:]) if how == "repeated" else ():
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

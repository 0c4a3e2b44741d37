"""graph-detached: the data flows on but the autograd path ends, told only where somebody expected a gradient.

NOTE [ Who expected a gradient ]
`.item()` for a log line, a target network under no_grad, a mask: cuts are everywhere and nearly always meant.
A cut is a finding only with evidence that a gradient was wanted: backward raised because nothing requires grad; a
parameter is in an optimizer and no backward ever reached it; its `.grad` was read and was None; or the loss was made
to require grad again after it had been computed from something that did.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from inplace.checks.finding import Cure, Finding, Victim
from inplace.facts.model import Call, Kind, TensorId, TensorState
from inplace.reading.gradients import reached_leaves, wanted_leaves
from inplace.reading.index import Index
from inplace.reading.lineage import CutCall, HowCut, Lineage, cuts_before, how_cut, lineage
from inplace.reading.place import Place
from inplace.reading.unanswered import HowRefused, Unanswered, leaf_behind, reads_of_results, unanswered

_MOST = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut(Finding):
    """The data flows on but the autograd path ends: a parameter gets no gradient."""

    kind = "graph-detached"
    role = "cut"
    further_role = "cut"
    how: HowCut | HowRefused
    without_grad: tuple[str, ...]
    raised: bool

    def cures(self) -> tuple[Cure, ...]:
        """The call that cut the path is left out, or autograd records it."""
        if self.how not in get_args(HowCut):
            return ()
        return (Cure.WITH_GRAD,) if self.how == "no-grad" else (Cure.UNCUT,)

    def without_gradient(self) -> tuple[str, ...]:
        """The parameters behind the cut."""
        return self.without_grad


def detached_graphs(index: Index) -> Iterator[Finding]:
    """Yield the cuts that cost a parameter its gradient, and what was refused or left unanswered for want of one."""
    without = unanswered(index)
    if without is not None and not _is_rebound(index, without):
        cuts = lineage(index, without.tensors[0], len(index.trace.calls)).cuts if without.how == "cut" else []
        yield _finding(index, cuts, _behind(index, cuts), raised=True) if cuts else _of_unanswered(index, without)
        return
    yield from (_of_unanswered(index, one) for one in reads_of_results(index))
    backwards = [
        call for call in index.history.calls_of(lambda function: function.kind is Kind.BACKWARD) if call.inputs
    ]
    if not backwards:
        return
    reached = reached_leaves(index)
    wanted = wanted_leaves(index)
    told: set[TensorId] = set()
    for call in backwards:
        root = index.trace.states[call.inputs[0].before]
        refused = call.raised is not None and not root.requires_grad
        if not (refused or root.is_leaf or wanted - reached - told):
            continue  # nobody misses a gradient
        behind = lineage(index, root.tensor, call.step)
        if refused:
            yield from _refused(index, call, behind)
            continue
        expected = _expected(index, call, behind, wanted) - reached - told
        found = list(_lost(index, call, behind, expected))
        for finding, leaves in found:
            told |= leaves
            yield finding


def _is_rebound(index: Index, one: Unanswered) -> bool:
    """Whether what was asked for has the name of a leaf that was meant: another kind tells of that."""
    last = [index.history.last_state(tensor) for tensor in one.tensors if one.how in {"unused", "plain"}]
    return any(state is not None and leaf_behind(index, state, len(index.trace.calls)) is not None for state in last)


def _of_unanswered(index: Index, one: Unanswered) -> Cut:
    return Cut(
        severity="error" if one.raised else "warning",
        culprits=one.places[:_MOST],
        victim=Victim.at(one.victim),
        names=index.names.told(
            tensors=one.tensors[:1], places=[*one.places, one.victim], last=index.names.first(one.tensors)
        ),
        how=one.how,
        without_grad=index.names.first(one.tensors),
        raised=one.raised,
    )


def _expected(index: Index, backward: Call, behind: Lineage, wanted: set[TensorId]) -> set[TensorId]:
    """The leaves whose gradient was wanted, and those behind a loss that was made to require grad again."""
    expected = set(wanted)
    root = index.trace.states[backward.inputs[0].before]
    if root.is_leaf:  # it was made to require grad again
        expected.update(*(_leaves_of(index, cut) for cut in behind.cuts))
    return expected


def _leaves_of(index: Index, cut: CutCall) -> set[TensorId]:
    if cut.given.is_leaf:
        return {cut.given.tensor}
    return set(lineage(index, cut.given.tensor, cut.call.step).leaves)


def _behind(index: Index, cuts: list[CutCall]) -> set[TensorId]:
    """The leaves behind some cuts."""
    return {leaf for cut in cuts for leaf in _leaves_of(index, cut)}


def _lost(
    index: Index, backward: Call, behind: Lineage, expected: set[TensorId]
) -> Iterator[tuple[Finding, set[TensorId]]]:
    """The cuts behind one loss, or failing those the exits to Python before it, that lost an expected leaf."""
    if not expected:
        return
    left = set(expected)
    for candidates in (behind.cuts, _matching_exits(index, backward, behind), _exits(index, backward)):
        grouped: dict[object, tuple[CutCall, set[TensorId]]] = {}
        for cut in candidates:
            leaves = _leaves_of(index, cut) & left
            place = index.places.of(cut.call)
            if leaves and place is not None:
                grouped.setdefault((place.file, place.position), (cut, set()))[1].update(leaves)
        for cut, leaves in list(grouped.values())[:_MOST]:
            yield _finding(index, [cut], leaves, raised=False), leaves
            left -= leaves
        if not left:
            return


def _refused(index: Index, backward: Call, behind: Lineage) -> Iterator[Finding]:
    """Backward raised because its root has no path: the cuts behind it, then the exits to Python before it."""
    cuts = behind.cuts or _matching_exits(index, backward, behind) or _exits(index, backward)
    if cuts:
        yield _finding(index, cuts, _behind(index, cuts), raised=True)
        return
    yield _frozen(index, backward, behind)


def _matching_exits(index: Index, backward: Call, behind: Lineage) -> list[CutCall]:
    """Exits whose values came back in: the same bytes (numpy) or the very same numbers (`.item()`)."""
    numbers: set[object] = set()
    storages = set()
    for state in behind.unknown.values():
        numbers.update(state.values or ())
        storages.add(state.storage)
    for call in behind.calls.values():
        if not call.inputs or call.function.label == "tensor":
            for output in call.outputs:
                numbers.update(index.trace.states[output].values or ())
    found = [
        cut
        for cut in _exits(index, backward)
        if (cut.call.result is not None and cut.call.result in numbers) or cut.given.storage in storages
    ]
    return found or _rebuilt(index, behind)


def _rebuilt(index: Index, behind: Lineage) -> list[CutCall]:
    """Tensors that no call made, with the numbers of one-element tensors that have a path (`torch.Tensor(list)`)."""
    known: dict[object, TensorState] = {}
    for state in index.trace.states:
        if state.requires_grad and not state.is_leaf and state.values is not None and len(state.values) == 1:
            known.setdefault(state.values[0], state)
    found = []
    for tensor, state in behind.unknown.items():
        given = next((known[value] for value in state.values or () if value in known), None)
        seen = index.history.calls_at(step for step, _ in index.history.sightings.get(tensor, ()))
        using = next((call for call in seen if any(_is(index, call, tensor, n) for n in range(len(call.inputs)))), None)
        if given is not None and using is not None:
            found.append(CutCall(using, given))
    return found


def _is(index: Index, call: Call, tensor: TensorId, number: int) -> bool:
    return index.trace.states[call.inputs[number].before].tensor == tensor


def _exits(index: Index, backward: Call) -> list[CutCall]:
    """Numbers and arrays read from tensors with a path, and cuts whose result was read so, before a backward."""
    cuts = cuts_before(index, backward.step)
    exported = _exported(index, backward.step)
    found = []
    for cut in cuts:
        made = {index.trace.states[state].storage for state in cut.call.outputs}
        if cut.call.function.kind in {Kind.TO_PYTHON, Kind.EXPORT} or made & exported:
            found.append(cut)
    return found


def _exported(index: Index, before: int) -> set[object]:
    kinds = {Kind.TO_PYTHON, Kind.EXPORT}
    calls = [call for call in index.history.calls_of(lambda function: function.kind in kinds, before) if call.inputs]
    return {index.trace.states[call.inputs[0].before].storage for call in calls}


def _finding(index: Index, cuts: list[CutCall], leaves: set[TensorId], *, raised: bool) -> Cut:
    places: dict[object, Place] = {}
    for cut in cuts:
        for place in _places(index, cut):
            places.setdefault((place.file, place.position), place)
    first = cuts[0]
    maker = index.history.maker(first.given.tensor, first.call.step) if not first.given.is_leaf else None
    lost_at = index.places.of(maker if maker is not None else first.call)
    without = index.names.first(leaves)
    return Cut(
        severity="error" if raised else "warning",
        culprits=tuple(places.values())[:_MOST],
        victim=Victim.at(lost_at),
        names=index.names.told(tensors=[first.given.tensor], places=[*places.values(), lost_at], last=without),
        how=how_cut(first),
        without_grad=without,
        raised=raised,
    )


def _places(index: Index, cut: CutCall) -> list[Place]:
    """Where the path was lost; for a tensor no call made, also the line that made it."""
    found = list(index.places.chain(cut.call))
    if how_cut(cut) == "dtype" and found:
        code = index.places.code(found[0])
        for argument in cut.call.inputs:
            state = index.trace.states[argument.before]
            if index.trace.tensors[state.tensor].origin is not None:
                continue
            for name in code.roots(found[0].position):
                above = code.assignment_above(found[0].position, name)
                if above is not None and not state.requires_grad and name in index.names.of(state.tensor):
                    found.append(index.places.beside(found[0], above))
    return found


def _frozen(index: Index, backward: Call, behind: Lineage) -> Cut:
    """Nothing behind the loss ever required grad: the lines that switched it off, or the backward itself."""
    switched = [
        call
        for call in index.history.calls_of(lambda one: one.label in {"requires_grad", "requires_grad_"}, backward.step)
        if call.inputs and not index.trace.states[call.inputs[0].after].requires_grad
    ]
    calls = [c for c in switched if index.trace.states[c.inputs[0].after].tensor in behind.unknown] or switched
    if not calls:  # nobody has ever let them require grad: where they were made
        calls = [maker for one in behind.unknown if (maker := index.history.maker(one, backward.step)) is not None]
    places = dict.fromkeys(place for call in calls for place in index.places.chain(call)) or dict.fromkeys(
        index.places.chain(backward)
    )
    last = behind.calls[max(behind.calls)] if behind.calls else backward
    victim = index.places.of(last)
    frozen = index.names.first(behind.unknown)
    return Cut(
        severity="error",
        culprits=tuple(places)[:_MOST],
        victim=Victim.at(victim),
        names=index.names.told(places=[*places, victim], last=frozen),
        how="frozen",
        without_grad=frozen,
        raised=True,
    )

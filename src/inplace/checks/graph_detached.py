"""graph-detached: the data flows on but the autograd path ends, told only where somebody expected a gradient.

NOTE [ Who expected a gradient ]
`.item()` for a log line, a target network under no_grad, a mask: cuts are everywhere and nearly always meant.
A cut is a finding only with evidence that a gradient was wanted: backward raised because nothing requires grad; a
parameter is in an optimizer and no backward ever reached it; its `.grad` was read and was None; or the loss was made
to require grad again after it had been computed from something that did.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from inplace.checks.finding import Cure, Finding, Victim
from inplace.facts.model import Call, GradMode, Kind, Stack, TensorId
from inplace.reading.derivatives import constant_derivatives
from inplace.reading.elsewhere import made_elsewhere
from inplace.reading.exits import exits_into
from inplace.reading.gradients import reached_leaves
from inplace.reading.idle import flags_behind
from inplace.reading.index import Index
from inplace.reading.lineage import CutCall, HowCut, Lineage, how_cut, lineage, live_input
from inplace.reading.missed import missed_leaves
from inplace.reading.own_steps import own_step
from inplace.reading.place import Place
from inplace.reading.refused_asks import refused_ask
from inplace.reading.replaced import replaced_leaves
from inplace.reading.stopped import is_by_turns, stopped_leaves
from inplace.reading.switched_off import SwitchedOff
from inplace.reading.unanswered import HowRefused, Unanswered, leaf_behind, reads_of_results, unanswered
from inplace.reading.zero_gradients import zero_by_definition

# Since PyTorch 2.15 what a mode makes of a function that it decorates is called as the mode
# (`torch/utils/_contextlib.py`).
_DECORATED = frozenset({"no_grad", "inference_mode", "set_grad_enabled"})
_MOST = 6
_CURES: dict[str, tuple[Cure, ...]] = {
    **dict.fromkeys(["detach", "data", "rebuilt"], (Cure.UNCUT,)),
    "item": (Cure.TENSORS_KEPT, Cure.CUT_SHORT),
    **dict.fromkeys(["no-grad", "inference"], (Cure.WITH_GRAD,)),
    "left off": (Cure.MODE_IN_BLOCK,),
    "own step": (Cure.UPDATE_LEAF, Cure.AS_LEAF),
    "wrapped": (Cure.RESULT_USED,),
    **dict.fromkeys(["frozen", "plain"], (Cure.TRAINED,)),
    "result": (Cure.RETAIN_GRAD, Cure.DETACHED),
    "integer": (Cure.FLOATING,),
    "out": (Cure.OUT_OF_PLACE,),
    "view": (Cure.VIEW_RECORDED, Cure.NO_FLAG),
    "unregistered": (Cure.REGISTERED,),
    "derivative": (Cure.CREATE_GRAPH,),
    "zero": (Cure.STRAIGHT_THROUGH,),
    "unused": (Cure.WHOLE_ASKED,),
    "hooked": (Cure.GRADIENT_HOOK,),
    "copied": (Cure.ATTRIBUTE_DETACHED,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut(Finding):
    """The data flows on but the autograd path ends: a parameter gets no gradient.

    `lost` says which parameters those are, `without_grad` the names of those that have one.
    `until` is at how many steps of its optimizer it still had one, and at how many since it has none; None where it
    never had one.
    `beside` are other cuts that cost one of them a part of its gradient: to undo the culprits leaves that out.
    `waits` is whether gradient mode is left off by a generator that waits within a block.
    `stepped` are the leaf and its update where the cut is a step of the user's own.
    """

    kind = "graph-detached"
    role = "cut"
    further_role = "cut"
    how: HowCut | HowRefused | Literal["own step", "left off", "inference"]
    without_grad: tuple[str, ...]
    raised: bool
    lost: tuple[str, ...] = ()
    until: tuple[int, int] | None = None
    beside: tuple[Place, ...] = ()
    waits: bool = False
    stepped: tuple[TensorId, ...] = ()

    def tensors(self) -> tuple[TensorId, ...]:
        """The leaf that a step of the user's own was to update, and what was made of it."""
        return self.stepped

    @property
    def is_flat(self) -> bool:
        """What rounds has no other derivative."""
        return self.how == "zero"

    def blamed(self) -> tuple[Place, ...]:
        """The cuts that are told, and those that alone would have cost the same gradients."""
        return (*self.culprits, *self.beside)

    def cures(self) -> tuple[Cure, ...]:
        """The call that cut the path is left out, or autograd records it; or what was asked for is made possible."""
        return _CURES.get(self.how, ())

    def without_gradient(self) -> tuple[str, ...]:
        """The parameters behind the cut."""
        return self.without_grad


def detached_graphs(index: Index) -> Iterator[Finding]:
    """Yield the cuts that cost a parameter its gradient, and what was refused or left unanswered for want of one."""
    backwards = index.history.columns.steps_of(lambda function: function.kind is Kind.BACKWARD)
    for finding in _detached(index):
        at = len(index.trace.calls) if isinstance(finding, Cut) and finding.raised else max(backwards, default=None)
        yield replace(finding, at=at)


def _detached(index: Index) -> Iterator[Finding]:
    without = unanswered(index) or refused_ask(index)
    if without is not None and not _is_rebound(index, without):
        cuts = lineage(index, without.tensors[0], len(index.trace.calls)).cuts if without.how == "cut" else []
        yield _finding(index, cuts, _behind(index, cuts), raised=True) if cuts else _of_unanswered(index, without)
        return
    yield from (_of_unanswered(index, one) for one in reads_of_results(index))
    found = _Lost(index)
    for call in index.history.calls_of(lambda function: function.kind is Kind.BACKWARD):
        if not call.inputs or call.step < index.trace.begin:
            continue
        root = index.trace.states[call.inputs[0].before]
        if call.raised is not None and not root.requires_grad:
            yield from _refused(index, call, found.behind(call))
            return
    yield from found.findings()
    for one in (*zero_by_definition(index), *_followed_wrongly(index)):
        yield _of_unanswered(index, one)


def _followed_wrongly(index: Index) -> Iterator[Unanswered]:
    """Gradients that are there, but not those of what was computed: a part of it is none of the graph's."""
    for term in constant_derivatives(index):
        yield Unanswered("derivative", index.places.chain(term.call), None, (term.made, *term.leaves), raised=False)


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


def _is_rebound(index: Index, one: Unanswered) -> bool:
    """Whether what was asked for has the name of a leaf that was meant: another kind tells of that."""
    last = [index.history.last_state(tensor) for tensor in one.tensors if one.how in {"unused", "plain", "cut"}]
    return any(state is not None and leaf_behind(index, state, len(index.trace.calls)) is not None for state in last)


class _Lost:
    """The leaves whose gradient is missed, and the cuts that lost it: those of the loss that was to give it."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._lineages: dict[Stack, Lineage] = {}
        self._later: dict[int, Lineage] = {}
        self._exits: dict[int, list[CutCall]] = {}
        self._leaves: dict[tuple[TensorId, int], set[TensorId]] = {}

    def behind(self, backward: Call) -> Lineage:
        """What is behind the loss of a backward; of one line's backwards the first is looked at."""
        found = self._lineages.get(backward.stack)
        if found is None:
            root = self._index.trace.states[backward.inputs[0].before]
            found = self._lineages[backward.stack] = lineage(self._index, root.tensor, backward.step)
        return found

    def findings(self) -> Iterator[Finding]:
        """One finding for each cut that is to blame."""
        index = self._index
        grouped: dict[object, tuple[list[CutCall], list[CutCall], set[TensorId]]] = {}
        for leaf, backwards in self._missed():
            found = ((one, cuts) for one in backwards if (cuts := self._cuts_before(one, leaf)))
            backward, cuts = next(found, (None, []))
            place = index.places.of(cuts[0].call) if cuts else None
            if backward is not None and place is not None:
                later = self._cuts_later(backward, leaf)
                told, known, leaves = grouped.setdefault(place.spot, (cuts[:1], [], set()))
                if all(at.spot != place.spot for cut in later if (at := index.places.of(cut.call)) is not None):
                    told += later[:1]  # the first is to blame for the first turn only
                known += [*cuts, *later]
                leaves.add(leaf)
        for told, known, leaves in list(grouped.values())[:_MOST]:
            yield replace(_finding(index, told, leaves, raised=False), beside=_beside(index, known))
        yield from self._stopped(set(grouped))

    def _stopped(self, told: set[object]) -> Iterator[Finding]:
        """One finding for each cut that is to blame for gradients which were there at first."""
        index = self._index
        behind: dict[int, Lineage] = {}
        grouped: dict[object, tuple[CutCall, set[TensorId], tuple[int, int]]] = {}
        for one in stopped_leaves(index):
            for call in one.backwards:
                if call.step not in behind:
                    root = index.trace.states[call.inputs[0].before]
                    behind[call.step] = lineage(index, root.tensor, call.step)
            if any(one.leaf in behind[call.step].live for call in one.backwards):
                continue
            cuts = [cut for call in one.backwards for cut in self._cuts_of(call, behind[call.step], one.leaf)]
            place = index.places.of(cuts[0].call) if cuts else None
            if place is not None and place.spot not in told and not is_by_turns(index, cuts[0].call):
                grouped.setdefault(place.spot, (cuts[0], set(), one.steps))[1].add(one.leaf)
        for cut, leaves, steps in list(grouped.values())[:_MOST]:
            yield replace(_finding(index, [cut], leaves, raised=False), until=steps)

    def _missed(self) -> Iterator[tuple[TensorId, list[Call]]]:
        """Each leaf that misses its gradient, with the backwards that may have been meant for it."""
        index = self._index
        left = {orphan for one in replaced_leaves(index) for orphan in one.orphans}  # another kind tells of those
        told = reached_leaves(index) | left
        for leaf, backwards in missed_leaves(index):
            if leaf not in left:
                told.add(leaf)
                yield leaf, backwards
        firsts: dict[Stack, Call] = {}
        for call in index.history.calls_of(lambda function: function.kind is Kind.BACKWARD):
            firsts.setdefault(call.stack, call)
        for backward in firsts.values():
            root = index.trace.states[backward.inputs[0].before] if backward.inputs else None
            if root is not None and root.is_leaf and root.requires_grad:  # it was made to require grad again
                for leaf in sorted(self.behind(backward).leaves.keys() - told - {root.tensor}):
                    told.add(leaf)
                    yield leaf, [backward]

    def _cuts_before(self, backward: Call, leaf: TensorId) -> list[CutCall]:
        """The cuts without which a leaf would have its gradient, the most telling first."""
        behind = self.behind(backward)
        alone = self._cuts_of(backward, behind, leaf)
        return alone or _ranked([cut for cut in behind.cuts if leaf in self._live(cut)])[:1]

    def _cuts_later(self, backward: Call, leaf: TensorId) -> list[CutCall]:
        """The cuts that cost a leaf its gradient where the same line went backward last: maybe others."""
        steps = self._index.history.columns.steps_of(lambda function: function.kind is Kind.BACKWARD)
        numbers = self._index.history.columns.stack
        last = next(step for step in reversed(steps) if numbers[step] == numbers[backward.step])
        if last == backward.step:
            return []
        call = self._index.trace.calls[last]
        if last not in self._later:
            self._later[last] = lineage(self._index, self._index.trace.states[call.inputs[0].before].tensor, last)
        behind = self._later[last]
        return [] if leaf in behind.live else self._cuts_of(call, behind, leaf)

    def _cuts_of(self, backward: Call, behind: Lineage, leaf: TensorId) -> list[CutCall]:
        """The cuts each of which alone costs a leaf its gradient, the most telling first."""
        clean = [cut for cut in behind.cuts if not cut.beyond and leaf in self._live(cut)]
        if clean:
            return _ranked(clean)
        if backward.step not in self._exits:
            self._exits[backward.step] = exits_into(self._index, backward, behind)
        return _ranked([cut for cut in self._exits[backward.step] if leaf in self._live(cut)])

    def _live(self, cut: CutCall) -> set[TensorId]:
        """The leaves that the tensor which a cut was given has a path to."""
        key = cut.given.tensor, cut.call.step
        found = self._leaves.get(key)
        if found is None:
            found = self._leaves[key] = _leaves_of(self._index, cut)
        return found


def _beside(index: Index, cuts: list[CutCall]) -> tuple[Place, ...]:
    """Where the cuts but the first are, as far as that is somewhere else."""
    places = {place.spot: place for cut in cuts if (place := index.places.of(cut.call)) is not None}
    return tuple(places.values())[1:][:_MOST]


def _ranked(cuts: list[CutCall]) -> list[CutCall]:
    """Cuts, those first that somebody wrote rather than those of a dtype."""
    return sorted(cuts, key=lambda cut: (how_cut(cut) == "dtype", cut.call.step))


def _leaves_of(index: Index, cut: CutCall) -> set[TensorId]:
    """The leaves that have a path to what a cut was given, to any of its arguments."""
    given = [cut.given]
    if cut.how is None:
        given += [state for one in cut.call.inputs if (state := index.trace.states[one.before]).requires_grad]
    step = cut.call.step + (how_cut(cut) == "wrapped")  # then it is the result of the call itself
    found: set[TensorId] = set()
    for state in {one.tensor: one for one in given}.values():
        found |= {state.tensor} if state.is_leaf else set(lineage(index, state.tensor, step).live)
    return found


def _behind(index: Index, cuts: list[CutCall]) -> set[TensorId]:
    """The leaves behind some cuts."""
    return {leaf for cut in cuts for leaf in _leaves_of(index, cut)}


def _refused(index: Index, backward: Call, behind: Lineage) -> Iterator[Finding]:
    """Backward raised because its root has no path: the cuts behind it, else the exits whose values came back in."""
    clean = [cut for cut in behind.cuts if not cut.beyond]
    cuts = clean or behind.cuts or exits_into(index, backward, behind)
    if cuts:
        found = _finding(index, cuts, _behind(index, cuts), raised=True)
        mentioned = index.names.at(index.places.of(backward))
        yield replace(found, names=tuple(dict.fromkeys([*found.names, *mentioned])))
        return
    elsewhere = {place: one for one in behind.unknown for place in made_elsewhere(index, one, backward)}
    if elsewhere:
        tensors = tuple(dict.fromkeys(elsewhere.values()))
        yield _of_unanswered(index, Unanswered("elsewhere", tuple(elsewhere), index.places.of(backward), tensors))
        return
    if flags_behind(index):
        return  # told as a write that is lost
    yield _frozen(index, backward, behind)


def _finding(index: Index, cuts: list[CutCall], leaves: set[TensorId], *, raised: bool) -> Cut:
    places: dict[object, Place] = {}
    off = SwitchedOff(index)
    for cut in cuts:
        for place in _places(index, cut, off):
            places.setdefault((place.file, place.position), place)
    first = cuts[0]
    lost_at = _had_path(index, first)
    without = index.names.first(leaves)
    stepped = own_step(index, first)
    return Cut(
        severity="error" if raised else "warning",
        culprits=tuple(places.values())[:_MOST],
        victim=Victim.at(lost_at),
        names=index.names.told(
            tensors=[first.given.tensor], places=[index.places.of(first.call), *places.values(), lost_at], last=without
        ),
        how="own step" if stepped else _how(first, off),
        waits=off.waits(first.call),
        stepped=stepped,
        without_grad=without,
        raised=raised,
        lost=tuple(index.names.parameter(leaf) for leaf in sorted(leaves)),
    )


def _how(cut: CutCall, off: SwitchedOff) -> HowCut | Literal["left off", "inference"]:
    how = how_cut(cut)
    if how != "no-grad":
        return how
    if off.left_off(cut.call) is not None:
        return "left off"
    return "inference" if cut.call.grad_mode is GradMode.INFERENCE else how


def _had_path(index: Index, cut: CutCall) -> Place | None:
    """Where what was cut off was made: on another line than the cut, where there is one."""
    here, state, step = index.places.of(cut.call), cut.given, cut.call.step
    found = here
    while not state.is_leaf and (maker := index.history.maker(state.tensor, step)) is not None:
        found = index.places.of(maker) or found
        state_before = live_input(index, maker)
        if here is None or found is None or found.position.line != here.position.line or state_before is None:
            return found
        state, step = state_before, maker.step
    return found


def _places(index: Index, cut: CutCall, off: SwitchedOff) -> list[Place]:
    """Where the path was lost: the call, and what switched gradient mode off where that says more."""
    found = list(index.places.chain(cut.call))
    how = how_cut(cut)
    if how == "collective":
        return [*found, *_first_use(index, cut.call)]
    if how == "wrapped" and found:
        code = index.places.code(found[0])
        reached = sorted(index.flow(found[0]).from_(found[0].position), key=lambda at: at.start)
        wrapping = [at for at in reached if "Parameter(" in code.text(at)]
        return [index.places.beside(found[0], wrapping[0]), *found[1:]] if wrapping else found
    if how != "no-grad" or not found:
        return found
    left = off.left_off(cut.call)
    if left is not None:
        return [left, *found]
    act = off.before(cut.call)
    if act is None:
        around = _library_around(index, cut.call)
        return [around] if around is not None else found
    switch, entry = index.places.at(act.stack.frames[0], None), act.stack.frames[0].entry or ""
    if entry in _DECORATED or "decorate_context" in entry or "_no_grad_wrapper" in entry:
        return [*found, switch]
    if entry.startswith("set_grad_enabled"):
        return [switch, *found]
    return found if entry.startswith("no_grad.") else [switch]


def _first_use(index: Index, call: Call) -> list[Place]:
    """The line that first took what a collective collected: where this rank's own part would have to be back."""
    states = index.trace.states
    live = {states[one.before].tensor for one in call.inputs if states[one.before].requires_grad}
    made = {states[one.before].tensor for one in call.inputs} | {states[one].tensor for one in call.outputs}
    steps = [step for one in made - live for step, _ in index.history.sightings.get(one, ()) if step > call.step]
    users = (index.places.of(index.trace.calls[step]) for step in sorted(steps)[:1] if step < len(index.trace.calls))
    return [place for place in users if place is not None]


def _library_around(index: Index, call: Call) -> Place | None:
    """The line that called what runs the user's code without gradients, such as a reentrant checkpoint."""
    in_cell = False
    for number, frame in enumerate(call.stack.frames):
        is_cell = index.trace.sources[index.trace.site(frame).source].is_cell
        if in_cell and not is_cell:  # what has run the recorded code
            return None
        in_cell = in_cell or is_cell
        if number and frame.entry is not None and not frame.entry.startswith("Module."):
            return index.places.at(frame, None)
    return None


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

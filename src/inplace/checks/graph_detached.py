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
from inplace.facts.model import Call, Kind, TensorId
from inplace.reading.gradients.cut_places import HowLost, how_lost, path_before, places_of_cut
from inplace.reading.gradients.derivatives import constant_derivatives
from inplace.reading.gradients.elsewhere import made_elsewhere
from inplace.reading.gradients.exits import exits_into
from inplace.reading.gradients.leaf_behind import leaf_behind
from inplace.reading.gradients.lost import Lost, leaves_behind
from inplace.reading.gradients.own_steps import own_step
from inplace.reading.gradients.refused_asks import refused_ask
from inplace.reading.gradients.requests import HowRefused, Unanswered
from inplace.reading.gradients.switched_off import SwitchedOff
from inplace.reading.gradients.unanswered import reads_of_results, unanswered
from inplace.reading.gradients.zero import zero_by_definition
from inplace.reading.trace.idle import flags_behind
from inplace.reading.trace.index import Index
from inplace.reading.trace.lineage import CutCall, Lineage, lineage
from inplace.reading.trace.place import Place

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
    how: HowLost | HowRefused | Literal["own step"]
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
        yield _finding(index, cuts, leaves_behind(index, cuts), raised=True) if cuts else _of_unanswered(index, without)
        return
    yield from (_of_unanswered(index, one) for one in reads_of_results(index))
    found = Lost(index)
    for call in index.history.calls_of(lambda function: function.kind is Kind.BACKWARD):
        if not call.inputs or call.step < index.trace.begin:
            continue
        root = index.trace.states[call.inputs[0].before]
        if call.raised is not None and not root.requires_grad:
            yield from _refused(index, call, found.behind(call))
            return
    for one in found.by_cuts():
        told = _finding(index, one.cuts, one.leaves, raised=False)
        yield replace(told, beside=_beside(index, one.known), until=one.until)
    for other in (*zero_by_definition(index), *_followed_wrongly(index)):
        yield _of_unanswered(index, other)


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


def _beside(index: Index, cuts: list[CutCall]) -> tuple[Place, ...]:
    """Where the cuts but the first are, as far as that is somewhere else."""
    places = {place.spot: place for cut in cuts if (place := index.places.of(cut.call)) is not None}
    return tuple(places.values())[1:][:_MOST]


def _refused(index: Index, backward: Call, behind: Lineage) -> Iterator[Finding]:
    """Backward raised because its root has no path: the cuts behind it, else the exits whose values came back in."""
    clean = [cut for cut in behind.cuts if not cut.beyond]
    cuts = clean or behind.cuts or exits_into(index, backward, behind)
    if cuts:
        found = _finding(index, cuts, leaves_behind(index, cuts), raised=True)
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
        for place in places_of_cut(index, cut, off):
            places.setdefault((place.file, place.position), place)
    first = cuts[0]
    lost_at = path_before(index, first)
    without = index.names.first(leaves)
    stepped = own_step(index, first)
    return Cut(
        severity="error" if raised else "warning",
        culprits=tuple(places.values())[:_MOST],
        victim=Victim.at(lost_at),
        names=index.names.told(
            tensors=[first.given.tensor], places=[index.places.of(first.call), *places.values(), lost_at], last=without
        ),
        how="own step" if stepped else how_lost(first, off),
        waits=off.waits(first.call),
        stepped=stepped,
        without_grad=without,
        raised=raised,
        lost=tuple(index.names.parameter(leaf) for leaf in sorted(leaves)),
    )


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

"""lost-write: a write into a copy, a result that was dropped or only took over a name, a statement without effect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inplace.checks.finding import Cure, Finding
from inplace.facts.model import TensorId
from inplace.reading.trace.idle import How, flags_behind, idle_statements
from inplace.reading.trace.index import Index
from inplace.reading.writes.array_copies import lost_array_copies
from inplace.reading.writes.dropped import dropped_results
from inplace.reading.writes.rebound import rebound
from inplace.reading.writes.returned_copies import returned_copies
from inplace.reading.writes.temporaries import lost_copies

_WAYS = {
    "copy": Cure.INDEXED_ONCE,
    "dropped": Cure.RESULT_KEPT,
    "returned": Cure.RESULT_KEPT,
    "loop": Cure.WRITTEN_INTO,
    "argument": Cure.WRITTEN_INTO,
    "option": Cure.OPTION_SET,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LostWrite(Finding):
    """A write that changed nothing which anybody has.

    `how`: into a `copy` that died unread, or into a result that is
    `dropped` at once, or that a function of the user's or a layer has `returned`; into a new tensor that took over the
    variable of a `loop` or an `argument` and that nobody read, `source` being the one that it stood for; by a `method`
    that was assigned to in place of being called, or one that is named and `uncalled`; by a `flag` that was set on a
    module, which reads none, by one in a `spelling` that no tensor has, or by an `option` that was set on an optimizer,
    which has it in its groups. `source` is what was copied, or has the flag otherwise still; `kept` are the names of
    the latter. `function` is the call that made the copy or the result, or what was assigned to or named.
    """

    kind = "lost-write"
    how: How | Literal["copy", "dropped", "returned", "loop", "argument"]
    function: str
    source: tuple[TensorId, ...]
    kept: tuple[str, ...] = ()

    def cures(self) -> tuple[Cure, ...]:
        """The tensor itself is indexed or written into, the result kept, the method called, or the option set."""
        return (_WAYS.get(self.how, Cure.METHOD_CALLED),)

    def tensors(self) -> tuple[TensorId, ...]:
        """What should have been written to."""
        return self.source


def lost_writes(index: Index) -> Iterator[Finding]:
    """Yield writes into copies that died unread, dropped results, then statements without effect; each line once."""
    found: dict[object, Finding] = {}
    for one in lost_copies(index):
        state = index.trace.states[one.maker.inputs[0].before]
        mentioned = [*one.places, index.places.of(one.maker)]
        finding = LostWrite(
            severity="warning",
            culprits=one.places,
            victim=None,
            names=index.names.told(tensors=[state.tensor], places=mentioned),
            how="copy",
            function=one.maker.function.label,
            source=(state.tensor,),
        )
        found.setdefault(finding.told_by(index.trace), finding)
    for array in lost_array_copies(index):
        state = index.trace.states[array.call.inputs[0].before]
        finding = LostWrite(
            severity="warning",
            culprits=array.places,
            victim=None,
            names=index.names.told(tensors=[state.tensor], places=array.places),
            how="copy",
            function=array.function,
            source=(state.tensor,),
        )
        found.setdefault(finding.told_by(index.trace), finding)
    for dropped in (*dropped_results(index), *returned_copies(index)):
        state = index.trace.states[dropped.call.inputs[dropped.number].before]
        finding = LostWrite(
            severity="warning",
            culprits=dropped.places,
            victim=None,
            names=index.names.told(first=[dropped.receiver], tensors=[state.tensor], places=[dropped.places[0]]),
            how="returned" if dropped.is_returned else "dropped",
            function=dropped.called,
            source=(state.tensor,),
        )
        found.setdefault(finding.told_by(index.trace), finding)
    for taken in rebound(index):
        finding = LostWrite(
            severity="warning",
            culprits=index.places.chain(taken.call),
            victim=None,
            names=index.names.told(first=[taken.name], tensors=[taken.left.tensor], places=[taken.place]),
            how="loop" if taken.by_loop else "argument",
            function=taken.call.function.label,
            source=(taken.left.tensor,),
        )
        found.setdefault(finding.told_by(index.trace), finding)
    blamed = {one.place.spot for one in flags_behind(index)}
    for idle in idle_statements(index):
        kept = index.names.first(idle.tensors)
        finding = LostWrite(
            severity="error" if idle.place.spot in blamed else "warning",
            culprits=(idle.place,),
            victim=None,
            names=tuple(dict.fromkeys([idle.receiver, *index.names.at(idle.place), *kept])),
            how=idle.how,
            function=idle.attribute,
            source=idle.tensors,
            kept=kept,
        )
        found.setdefault(finding.told_by(index.trace), finding)
    yield from found.values()

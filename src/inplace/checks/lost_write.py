"""lost-write: a write into a copy that nobody reads again, or an assignment that does nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inplace.checks.finding import Finding
from inplace.facts.model import TensorId
from inplace.reading.idle import idle_assignments
from inplace.reading.index import Index
from inplace.reading.temporaries import lost_copies


@dataclass(frozen=True, slots=True, kw_only=True)
class LostWrite(Finding):
    """A write that changed nothing which anybody has.

    `how`: into a `copy` that died unread, as a `method` that was assigned to in place of being called, or a `flag` that
    was set on a module, which reads none. `source` is what was copied, or has the flag otherwise still; `kept` are the
    names of the latter. `function` is the call that made the copy, or what was assigned to.
    """

    kind = "lost-write"
    how: Literal["copy", "method", "flag"]
    function: str
    source: tuple[TensorId, ...]
    kept: tuple[str, ...] = ()

    def tensors(self) -> tuple[TensorId, ...]:
        """What should have been written to."""
        return self.source


def lost_writes(index: Index) -> Iterator[Finding]:
    """Yield writes into copies that died unread, then assignments that do nothing; each once for its lines."""
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
    for idle in idle_assignments(index):
        kept = index.names.first(idle.tensors)
        finding = LostWrite(
            severity="warning",
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

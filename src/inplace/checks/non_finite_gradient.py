"""non-finite-gradient: a gradient that a step used was infinite or no number, and a call whose derivative is."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.checks.finding import Cure, Finding, Victim
from inplace.facts.model import Act, Call, Kind, TensorId
from inplace.reading.trace.gradient_events import Event, GradientEvents, reads_grad
from inplace.reading.trace.index import Index
from inplace.reading.trace.lineage import lineage

_MOST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class NonFiniteGradient(Finding):
    """A gradient that is not finite; the culprits are what made it so, the victim the backward.

    `derivative` is whether a derivative is known to be infinite there; else the values were not finite already, or
    nothing is known but the backward.
    """

    kind = "non-finite-gradient"
    keeps_loss = True
    leaves: tuple[TensorId, ...]
    derivative: bool

    def cures(self) -> tuple[Cure, ...]:
        """The argument is kept away from where the derivative is infinite."""
        return (Cure.KEPT_AWAY,) if self.derivative else ()

    def tensors(self) -> tuple[TensorId, ...]:
        """The parameters with such a gradient."""
        return self.leaves


def non_finite_gradients(index: Index) -> Iterator[Finding]:
    """Yield the first gradient that was not finite, where its values were looked at."""
    events = index.gradients
    backwards = [*index.history.calls_of(lambda one: one.kind is Kind.BACKWARD)]
    found = _first(index, events)
    if found is None or not backwards:
        return
    before, leaves = found
    behind = [call for call in backwards if call.step < before]
    reaching = [call for call in behind if not leaves or not leaves.isdisjoint(events.reach.get(call.stack, leaves))]
    if reaching:
        yield _finding(index, reaching[-1], leaves)


def _first(index: Index, events: GradientEvents) -> tuple[int, frozenset[TensorId]] | None:
    """The call before which the first gradient that is not finite was met, and whose it is."""
    found: list[tuple[int, frozenset[TensorId]]] = []
    step: Event
    for step in events.of("step"):
        if "x" in step.found:
            bad = [act for act in index.trace.acts if act.act is Act.STEPPED and "x" in act.found]
            leaves = [TensorId(number) for number, one in zip(bad[0].numbers, bad[0].found, strict=True) if one == "x"]
            found.append((bad[0].step, frozenset(leaves)))
            break
    for call in index.history.calls_of(reads_grad):
        values = [index.trace.states[output].values or () for output in call.outputs]
        if any(isinstance(one, float) and not math.isfinite(one) for row in values for one in row):
            found.append((call.step, frozenset({index.trace.states[call.inputs[0].before].tensor})))
            break
    failure, raised = index.trace.failure, index.history.columns.raised
    if failure is not None and "nan values" in failure.message:
        failed = [call for call in index.history.calls_of(lambda one: one.kind is Kind.BACKWARD) if call.step in raised]
        found += [(failed[-1].step + 1, frozenset())] if failed else []
    return min(found, key=lambda one: one[0], default=None)


def _finding(index: Index, backward: Call, leaves: frozenset[TensorId]) -> NonFiniteGradient:
    singular = [act for act in index.trace.acts if act.act is Act.SINGULAR and act.step == backward.step]
    calls = _calls_of(index, singular[-1].numbers) if singular else []
    derivative = bool(calls)
    calls = calls or _not_finite(index, backward) or [backward]
    places = dict.fromkeys(place for call in calls[:_MOST] for place in index.places.chain(call))
    victim = index.places.of(backward)
    given = [index.trace.states[argument.before].tensor for call in calls[:_MOST] for argument in call.inputs]
    names = index.names.told(tensors=given, places=[*places], last=index.names.first(leaves))
    return NonFiniteGradient(
        severity="warning",
        culprits=tuple(places),
        victim=Victim.at(victim) if calls[0] is not backward else None,
        names=names,
        leaves=tuple(sorted(leaves)),
        at=backward.step,
        derivative=derivative,
    )


def _calls_of(index: Index, nodes: tuple[int, ...]) -> list[Call]:
    """The calls that made some nodes, the one that backward meets first in front."""
    starts = index.history.columns.nodes_start
    steps = dict.fromkeys(bisect_right(starts, node) - 1 for node in sorted(nodes, reverse=True))
    made = [index.trace.calls[step] for step in steps if step >= 0]
    return [call for call in made if any(node in call.nodes for node in nodes)]


def _not_finite(index: Index, backward: Call) -> list[Call]:
    """The first call behind a loss that gave out values that are not finite, of those whose values are known."""
    if not backward.inputs:
        return []
    root = index.trace.states[backward.inputs[0].before].tensor
    for _, call in sorted(lineage(index, root, backward.step).calls.items()):
        for output in call.outputs:
            values = index.trace.states[output].values or ()
            if any(isinstance(one, float) and not math.isfinite(one) for one in values):
                return [call]
    return []

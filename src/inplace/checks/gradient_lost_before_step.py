"""gradient-lost-before-step: a gradient is computed, and what the optimizer's step uses is another one, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from inplace.checks.finding import Cure, Finding
from inplace.facts.model import Stack, TensorId
from inplace.reading.trace.gradient_events import Event, GradientEvents
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

_MOST = 4

How = Literal["cleared", "per backward", "between", "clipped early", "clipped scaled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LostGradient(Finding):
    """A gradient that was dropped before a step used it, or was clipped when that had no effect, or the wrong one.

    `how`: cleared between backward and every step (`cleared`); cleared after each of several backwards before a step,
    so that the last one counts alone (`per backward`); cleared behind a backward from another line than the last one's,
    that no other parameter got anything of (`between`); clipped before the backward that computes it (`clipped early`);
    clipped while it was multiplied by the scale of a scaler (`clipped scaled`).
    """

    kind = "gradient-lost-before-step"
    keeps_loss = True
    how: How
    leaves: tuple[TensorId, ...]

    def tensors(self) -> tuple[TensorId, ...]:
        """The parameters, where they are known."""
        return self.leaves

    def cures(self) -> tuple[Cure, ...]:
        """The clear or the clip goes elsewhere, or the gradients are unscaled before it."""
        ways = {"clipped early": Cure.CLIPPED_LATER, "clipped scaled": Cure.UNSCALED}
        return (ways.get(self.how, Cure.CLEARED_LATER),)


def lost_gradients(index: Index) -> Iterator[Finding]:
    """Yield the clears and clips that make a step use something else than the gradient that was computed."""
    if not index.trace.acts:
        return
    events = index.gradients
    steps: dict[frozenset[TensorId], list[Event]] = {}
    for event in events.of("step"):
        steps.setdefault(event.leaves or frozenset(), []).append(event)
    told: dict[How, dict[Stack, set[TensorId]]] = {}
    for leaves, used in steps.items():
        found = _cleared(events, leaves, used)
        how: How = "cleared"
        if not found:
            found, how = _per_backward(events, leaves, used), "per backward"
        if not found and not _is_hooked(index):
            found, how = _between(events, leaves, used), "between"
        for stack in found:
            told.setdefault(how, {}).setdefault(stack, set()).update(leaves)
    for way, stacks in told.items():
        yield _finding(index, way, stacks)
    yield from _clipped(index, events)


def _finding(index: Index, how: How, stacks: dict[Stack, set[TensorId]]) -> LostGradient:
    places: dict[Place, None] = {}
    for stack in stacks:
        places.update(dict.fromkeys(index.places.chain_of(stack, None)))
    leaves = sorted({leaf for found in stacks.values() for leaf in found})
    return LostGradient(
        severity="warning",
        culprits=tuple(places)[:_MOST],
        victim=None,
        names=index.names.told(places=[*places], last=index.names.first(leaves)),
        how=how,
        leaves=tuple(leaves[:_MOST]),
        at=index.gradients.last_step,
    )


def _is_about(event: Event, leaves: frozenset[TensorId]) -> bool:
    """Whether something happened to the gradients of some leaves between steps.

    A backward of an unknown graph is nothing of the kind, nor is a clear that found no gradient.
    """
    if event.what not in {"backward", "clear", "read", "scaler step"} or event.drops_nothing:
        return False
    return event.concerns(leaves) and not (event.what == "backward" and event.leaves is None)


def _is_others(event: Event, own: frozenset[tuple[int, int]]) -> bool:
    """Whether it is a step of another optimizer, or of this one when it had other parameters: it may have used some."""
    return event.what == "step" and event.moment not in own


def _cleared(events: GradientEvents, leaves: frozenset[TensorId], steps: list[Event]) -> list[Stack]:
    """The clears between the last backward and each step of an optimizer, none of which found a gradient."""
    found: dict[Stack, None] = {}
    for step, before in events.before_each(steps, partial(_is_about, leaves=leaves)):
        backwards = [one for one in before if one.what == "backward"]
        clears = [one for one in before if one.what == "clear" and backwards and one.moment > backwards[-1].moment]
        is_empty = set(step.found) <= {"-", "0"}
        if is_empty and not backwards and not found:
            continue  # the first step of those that come before the backward of their turn
        if not is_empty or not clears:
            return []
        found.update(dict.fromkeys(one.stack for one in clears))
    return list(found)


def _per_backward(events: GradientEvents, leaves: frozenset[TensorId], steps: list[Event]) -> list[Stack]:
    """The clears that drop what the line computed from whose last backward the step's gradient comes, each time."""
    own = frozenset(one.moment for one in steps)
    return _each_time(events, steps, lambda one: _is_about(one, leaves) or _is_others(one, own), _dropped)


def _each_time(
    events: GradientEvents,
    steps: list[Event],
    keep: Callable[[Event], bool],
    dropped: Callable[[list[Event]], list[Event]],
) -> list[Stack]:
    """The clears in front of the steps that `dropped` finds, none where it finds none in front of one of them."""
    found: dict[Stack, None] = {}
    for _, before in events.before_each(steps, keep):
        clears = dropped(before)
        if not clears:
            return []
        found.update(dict.fromkeys(one.stack for one in clears))
    return list(found)


def _dropped(events: list[Event]) -> list[Event]:
    """The clears of gradients that nobody had read or used, where the last backward is another turn of the same line.

    A step of another optimizer has used them where that backward goes to its parameters too: they are trained by turns.
    """
    backwards = [one for one in events if one.what == "backward"]
    if not backwards:
        return []
    line, pending, found = backwards[-1].stack, False, []
    for event in events:
        if event.what == "backward":
            pending = event.stack == line
        elif event.what == "clear":
            found += [event] if pending else []
            pending = False
        elif event.what == "step":
            pending = pending and not event.concerns(backwards[-1].leaves or frozenset())
        else:
            pending = False
    return found


def _is_hooked(index: Index) -> bool:
    """Whether a hook may have used a gradient as it came by."""
    return any("_hook" in (source.text or "") for source in index.trace.sources if source.is_cell)


def _between(events: GradientEvents, leaves: frozenset[TensorId], steps: list[Event]) -> list[Stack]:
    """The clears that drop, in front of each step, what a backward computed for the parameters of that step alone.

    A backward that goes to other leaves too may be for those: an input that is attacked, another optimizer's.
    """
    own = frozenset(one.moment for one in steps)

    def keep(event: Event) -> bool:
        is_used = event.what in {"clip", "unscale", "set"} and event.concerns(leaves)
        return is_used or _is_about(event, leaves) or _is_others(event, own)

    return _each_time(events, steps, keep, partial(_dropped_between, leaves=leaves))


def _dropped_between(events: list[Event], leaves: frozenset[TensorId]) -> list[Event]:
    """The clears of all that a backward had computed, and nobody read or used, with another one behind them."""
    last = max((number for number, one in enumerate(events) if one.what == "backward"), default=0)
    pending: frozenset[TensorId] | None = frozenset()
    found = []
    for event in events[:last]:
        if event.what == "backward":
            is_own = event.leaves is not None and event.leaves <= leaves and event.stack != events[last].stack
            pending = pending | event.leaves if is_own and pending is not None and event.leaves is not None else None
        elif event.what == "clear":
            if pending and event.leaves is not None and pending <= event.leaves:
                found.append(event)
            pending = frozenset()
        else:
            pending = None
    return found


# ---------------------------------------------------------------- clips


def _clipped(index: Index, events: GradientEvents) -> Iterator[Finding]:
    """The clips each of which came when it had no effect, and those of gradients that a scaler had multiplied."""
    order = events.of("backward", "clip", "step", "scaler step", "unscale")
    following = _following(order)
    early: dict[Stack, bool] = {}
    scaled: dict[Stack, set[TensorId]] = {}
    previous: Event | None = None
    for event, coming in zip(order, following, strict=True):
        if event.what != "clip":
            previous = event
            continue
        then = [one.what for one in coming]
        is_early = (previous is None or "step" in previous.what) and then[:1] == ["backward"] and len(then) > 1
        if then:  # of the last one, after which nothing came, it is not known
            early[event.stack] = early.get(event.stack, True) and is_early
        is_backward = previous is not None and previous.what == "backward"
        if then[:1] == ["scaler step"] and previous is not None and is_backward and events.is_scaled(previous):
            scaled[event.stack] = set()
    before = {stack: set[TensorId]() for stack, always in early.items() if always}
    if before and any(one.what == "step" for one in order):
        yield _finding(index, "clipped early", before)
    if scaled:
        yield _finding(index, "clipped scaled", scaled)


def _following(order: list[Event]) -> list[list[Event]]:
    """For each event the next two that are a backward or a step."""
    coming: list[Event] = []
    found = []
    for event in reversed(order):
        found.append(coming)
        if event.what in {"backward", "step", "scaler step"}:
            coming = [event, *coming[:1]]
    return found[::-1]

"""The life of gradients in order: backwards and what they reach, clears, reads, clips, and the steps that use them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from inplace.facts.model import Act, Call, GradientAct, GradMode, Kind, Stack, TensorId, Trace
from inplace.reading.gradients import optimized, reads_grad
from inplace.reading.history import History
from inplace.reading.places import Places

What = Literal["backward", "clear", "read", "clip", "step", "scaler step", "unscale"]
_STEP = ("profile_hook_step", ".step")


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to the gradients of some leaves; `moment` orders calls and what is between them.

    `leaves` is None where they are not known. `found` is as in `GradientAct`. `step` is that of a recorded call.
    """

    moment: tuple[int, int]
    what: What
    stack: Stack
    leaves: frozenset[TensorId] | None
    found: str = ""
    step: int | None = None

    def concerns(self, leaves: frozenset[TensorId]) -> bool:
        """Whether it may be about one of some leaves."""
        return self.leaves is None or not leaves.isdisjoint(self.leaves)


class GradientEvents:
    """The events of one trace.

    Attributes:
        since: the first call of the run that the trace is of.
    """

    def __init__(self, history: History, places: Places) -> None:
        self._history, self._places, self._trace = history, places, history.trace
        self.since = history.trace.begin

    @property
    def last_step(self) -> int | None:
        """The number of calls made by the last step of an optimizer; None where there was none."""
        return max((act.step for act in self._trace.acts if act.act is Act.STEPPED), default=None)

    @cached_property
    def known(self) -> set[TensorId]:
        """The parameters that an optimizer ever held."""
        acts = [act for act in self._trace.acts if act.act in {Act.BUILT, Act.STEPPED}]
        return {*optimized(self._trace), *(TensorId(number) for act in acts for number in act.numbers)}

    @cached_property
    def reach(self) -> dict[Stack, frozenset[TensorId]]:
        """The leaves that the backwards of one stack walked to, as far as their graphs were looked at."""
        nodes, found = self._trace.node_by_id, dict[Stack, frozenset[TensorId]]()
        for walk in self._trace.walks:
            if walk.is_backward:
                stack = self._trace.calls[walk.step].stack
                leaves = {leaf for node in walk.reached if (leaf := nodes[node].leaf) is not None}
                found[stack] = found.get(stack, frozenset()) | leaves
        return found

    @cached_property
    def all(self) -> list[Event]:
        """Every event, in order."""
        return sorted([*self._of_calls(), *self._of_acts()], key=lambda event: event.moment)

    def of(self, *what: What) -> list[Event]:
        """The events of some kinds, in order."""
        return [event for event in self.all if event.what in what]

    def _of_calls(self) -> list[Event]:
        found = []
        history, states = self._history, self._trace.states
        for call in history.calls_of(lambda one: one.kind is Kind.BACKWARD and one.label == "backward"):
            if call.raised is None and call.within is None and not _is_in_step(call.stack):
                leaves = self.reach.get(call.stack)
                found.append(Event((call.step, 1), "backward", call.stack, leaves, step=call.step))
        for call in history.calls_of(reads_grad):
            if call.inputs:
                leaf = frozenset({states[call.inputs[0].before].tensor})
                found.append(Event((call.step, 1), "read", call.stack, leaf, step=call.step))
        for call in history.calls_of(lambda one: one.kind is Kind.SETTER and one.label == "grad"):
            if len(call.inputs) == 1:
                leaf = frozenset({states[call.inputs[0].before].tensor})
                found.append(Event((call.step, 1), "clear", call.stack, leaf, step=call.step))
        return found + self._of_libraries()

    def _of_libraries(self) -> list[Event]:
        """Clips and what scalers do, told by the lines that call them."""
        found: list[Event] = []
        columns = self._history.columns
        kinds = [self._what_of(stack) for stack in columns.stacks]
        last = None  # what the call before belonged to: one line makes a run of calls
        for step, number in enumerate(columns.stack):
            what = kinds[number]
            if what is not None and last != (what, number):
                found.append(Event((step, 1), what, columns.stacks[number], None, step=step))
            last = (what, number) if what is not None else None
        return found

    def _what_of(self, stack: Stack) -> What | None:
        entry = (stack.frames[0].entry or "") if stack.frames else ""
        if entry.startswith("GradScaler."):
            return {"GradScaler.step": "scaler step", "GradScaler.unscale_": "unscale"}.get(entry)  # type: ignore[return-value]
        place = self._places.of_stack(stack, None)
        return "clip" if place is not None and entry and "clip_grad_" in place.code.partition("(")[0] else None

    def _of_acts(self) -> list[Event]:
        found = []
        for number, act in enumerate(self._trace.acts):
            what = {Act.CLEARED: "clear", Act.STEPPED: "step"}.get(act.act)
            if what is not None and not _is_in_step(act.stack, but_first=what == "step"):
                leaves = frozenset(map(TensorId, act.numbers))
                moment = (act.step - 1, 2 + number)
                found.append(Event(moment, what, act.stack, leaves, act.found))  # type: ignore[arg-type]
        return found

    def is_scaled(self, backward: Event) -> bool:
        """Whether a backward began from a loss that a scaler had made."""
        call: Call | None = self._trace.calls[backward.step] if backward.step is not None else None
        if call is None or not call.inputs:
            return False
        root = self._trace.states[call.inputs[0].before].tensor
        maker = self._history.maker(root, call.step)
        frames = maker.stack.frames if maker is not None else ()
        return bool(frames) and frames[0].entry == "GradScaler.scale"

    def uses(self, leaf: TensorId, after: int = -1, *, any_mode: bool = False) -> list[Call]:
        """The calls that took a leaf from a step on, in grad mode if not in any; no steps of optimizers among them."""
        sightings = self._history.sightings.get(leaf, [])
        steps = sorted({step for step, _ in sightings if step >= after})
        calls = [self._trace.calls[step] for step in steps]
        return [
            call for call in calls if call.function.kind is Kind.OP and (any_mode or call.grad_mode is GradMode.GRAD)
        ]


def _is_in_step(stack: Stack, *, but_first: bool = False) -> bool:
    """Whether an optimizer's step was running, as where a closure goes backward."""
    frames = stack.frames[1:]
    return any(any(one in (frame.entry or "") for one in _STEP) for frame in (frames if but_first else stack.frames))


class SwitchedOff:
    """What switched gradient mode off, by when."""

    def __init__(self, trace: Trace) -> None:
        self._acts = [act for act in trace.acts if act.act is Act.SWITCHED_OFF]
        self._steps = [act.step for act in self._acts]

    def before(self, call: Call) -> GradientAct | None:
        """What had switched it off when a call was made; None where that is not known, as in a custom function."""
        at = bisect_right(self._steps, call.step)
        act = self._acts[at - 1] if at else None
        if act is None or not act.stack.frames:
            return None
        if (act.stack.frames[0].entry or "").startswith("set_grad_enabled"):
            return act  # to the end, or until somebody switches it on
        outer, frames = act.stack.frames[1:], call.stack.frames
        sites = [frame.site for frame in frames[len(frames) - len(outer) :]]
        return act if len(frames) > len(outer) and sites == [frame.site for frame in outer] else None

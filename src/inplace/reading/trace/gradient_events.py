"""The life of gradients in order: backwards and what they reach, clears, reads, clips, and the steps that use them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from inplace.facts.model import Act, Call, Function, GradMode, Kind, Stack, TensorId, Trace
from inplace.reading.trace.history import History
from inplace.reading.trace.places import Places

What = Literal["backward", "clear", "set", "read", "clip", "step", "scaler step", "unscale"]
_STEP = ("profile_hook_step", ".step")


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to the gradients of some leaves; `moment` orders calls and what is between them.

    `leaves` is None where they are not known. `found` is as in `GradientAct`, and so are `numbers`, the leaves in the
    order of its letters. `step` is that of a recorded call.
    """

    moment: tuple[int, int]
    what: What
    stack: Stack
    leaves: frozenset[TensorId] | None
    found: str = ""
    step: int | None = None
    numbers: tuple[int, ...] = ()

    def concerns(self, leaves: frozenset[TensorId]) -> bool:
        """Whether it may be about one of some leaves."""
        return self.leaves is None or not leaves.isdisjoint(self.leaves)

    @property
    def drops_nothing(self) -> bool:
        """Whether it is a clear that is known to have found no gradient, or zeros only."""
        return self.what == "clear" and bool(self.found) and set(self.found) <= {"-", "0"}


class GradientEvents:
    """The events of one trace.

    Attributes:
        since: the first call of the run that the trace is of.
    """

    def __init__(self, history: History, places: Places) -> None:
        self._history, self._places, self._trace = history, places, history.trace
        self.since = history.trace.begin
        self._of: dict[tuple[What, ...], list[Event]] = {}

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
    def had(self) -> set[TensorId]:
        """The parameters for which a step ever found a gradient."""
        found: set[TensorId] = set()
        seen: set[tuple[tuple[int, ...], str]] = set()  # most steps find the same
        for act in self._trace.acts:
            if act.act is Act.STEPPED and (act.numbers, act.found) not in seen:
                seen.add((act.numbers, act.found))
                found.update(
                    TensorId(one) for one, letter in zip(act.numbers, act.found, strict=False) if letter != "-"
                )
        return found

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
        if what not in self._of:
            self._of[what] = [event for event in self.all if event.what in what]
        return self._of[what]

    def before_each(self, steps: Iterable[Event], keep: Callable[[Event], bool]) -> Iterator[tuple[Event, list[Event]]]:
        """Each step from the run's first call on, with what is to be kept of what happened since the one before it.

        That may be one of an earlier cell. Nothing is looked through behind the step that is asked for.
        """
        begin = 0
        for step in steps:
            end = bisect_left(self._moments, step.moment)
            if step.moment[0] + 1 >= self.since:
                yield step, [event for event in self.all[begin:end] if keep(event)]
            begin = end

    @cached_property
    def _moments(self) -> list[tuple[int, int]]:
        return [event.moment for event in self.all]

    def _of_calls(self) -> list[Event]:
        found = []
        history, states = self._history, self._trace.states
        for call in history.calls_of(lambda one: one.kind is Kind.BACKWARD and one.label == "backward"):
            if call.raised is None and call.within is None and not is_in_step(call.stack):
                leaves = self.reach.get(call.stack)
                found.append(Event((call.step, 1), "backward", call.stack, leaves, step=call.step))
        for call in history.calls_of(reads_grad):
            if call.inputs:
                leaf = frozenset({states[call.inputs[0].before].tensor})
                found.append(Event((call.step, 1), "read", call.stack, leaf, step=call.step))
        for call in history.calls_of(lambda one: one.kind is Kind.SETTER and one.label == "grad"):
            if call.inputs:
                leaf = frozenset({states[call.inputs[0].before].tensor})
                what: What = "clear" if len(call.inputs) == 1 else "set"
                found.append(Event((call.step, 1), what, call.stack, leaf, step=call.step))
        return [*found, *self._zeroed(), *self._of_libraries()]

    def _zeroed(self) -> Iterator[Event]:
        """The gradients that a line has read and then written zeros to (`p.grad.zero_()`)."""
        states, owners = self._trace.states, dict[TensorId, TensorId]()
        for call in self._history.calls_of(lambda one: reads_grad(one) or one.label == "zero_"):
            if not call.inputs:
                continue
            tensor = states[call.inputs[0].before].tensor
            if reads_grad(call.function):
                owners.update({states[output].tensor: tensor for output in call.outputs})
            elif tensor in owners and call.raised is None:
                yield Event((call.step, 1), "clear", call.stack, frozenset({owners[tensor]}), step=call.step)

    def _of_libraries(self) -> list[Event]:
        """Clips and what scalers do, told by the lines that call them."""
        found: list[Event] = []
        columns = self._history.columns
        kinds = [self.library(stack) for stack in columns.stacks]
        begun = -1  # where the run of calls began that one line makes
        for step, number in enumerate(columns.stack):
            what = kinds[number]
            if what is not None and (begun < 0 or columns.stack[step - 1] != number):
                begun = step
            elif what is None:
                begun = -1
            if what is not None and (step + 1 == len(columns.stack) or columns.stack[step + 1] != number):
                run = range(begun, step + 1)
                if what == "scaler step" and self._are_steps(run):
                    continue  # it is switched off, and hands on
                leaves = self._read_in(run) or None
                found.append(Event((begun, 1), what, columns.stacks[number], leaves, step=begun))
        return found

    def _are_steps(self, steps: range) -> bool:
        """Whether some calls are steps of optimizers, or are made by them."""
        columns = self._history.columns
        functions = [columns.functions[columns.function[step]] for step in steps]
        return all(one.label.endswith(".step") for one in functions)

    def _read_in(self, steps: range) -> frozenset[TensorId]:
        """The leaves whose gradients some calls read."""
        columns, tensors = self._history.columns, self._history.tensors_by_state
        reads = [step for step in steps if reads_grad(columns.functions[columns.function[step]])]
        return frozenset(TensorId(tensors[columns.before[columns.begins[step]]]) for step in reads)

    def library(self, stack: Stack) -> What | None:
        """What a line has a library do to gradients, whose calls come one behind the other."""
        entry = (stack.frames[0].entry or "") if stack.frames else ""
        if entry.startswith("GradScaler."):
            return {"GradScaler.step": "scaler step", "GradScaler.unscale_": "unscale"}.get(entry)  # type: ignore[return-value]
        place = self._places.of_stack(stack, None)
        return "clip" if place is not None and entry and "clip_grad_" in place.code.partition("(")[0] else None

    def _of_acts(self) -> list[Event]:
        found = []
        leaves_of: dict[tuple[int, ...], frozenset[TensorId]] = {}  # most acts are about the same
        for number, act in enumerate(self._trace.acts):
            what = {Act.CLEARED: "clear", Act.STEPPED: "step"}.get(act.act)
            if what is not None and not is_in_step(act.stack, but_first=what == "step"):
                leaves = leaves_of.get(act.numbers)
                if leaves is None:
                    leaves = leaves_of[act.numbers] = frozenset(map(TensorId, act.numbers))
                moment = (act.step - 1, 2 + number)
                found.append(Event(moment, what, act.stack, leaves, act.found, numbers=act.numbers))  # type: ignore[arg-type]
        return found

    def call_of(self, event: Event) -> int | None:
        """The step of the call that an event is, or of the first within it; None where no call was recorded."""
        step = event.moment[0] + 1
        if event.step is not None or event.what != "step" or step >= len(self._trace.calls):
            return event.step
        sites = [frame.site for frame in self._trace.calls[step].stack.frames]
        outer = [frame.site for frame in event.stack.frames]
        return step if sites[len(sites) - len(outer) :] == outer else None

    @cached_property
    def ended(self) -> set[TensorId]:
        """The leaves for which the last step with them found no gradient, or one of zeros, and a first one did."""
        steps = [event for event in self.of("step") if event.moment[0] + 1 >= self.since]
        seen: set[TensorId] = set()
        found: set[TensorId] = set()
        last: dict[tuple[int, ...], Event] = {}
        for step in reversed(steps):
            last.setdefault(step.numbers, step)
        for numbers, step in last.items():
            letters = zip(numbers, step.found, strict=False)
            found.update(TensorId(number) for number, letter in letters if letter in "-0" and number not in seen)
            seen.update(map(TensorId, numbers))
        first: dict[tuple[int, ...], Event] = {}
        for step in steps:
            first.setdefault(step.numbers, step)
        begun = {
            TensorId(number)
            for numbers, step in first.items()
            for number, letter in zip(numbers, step.found, strict=False)
            if letter != "-"
        }
        return found & begun

    def has_closure(self, step: Event) -> bool:
        """Whether a step of an optimizer computes the gradients itself, by a closure that goes backward."""
        return step.moment in self._closures

    @cached_property
    def in_closures(self) -> list[Event]:
        """The backwards that closures made within steps of optimizers."""
        calls = self._history.calls_of(lambda one: one.kind is Kind.BACKWARD and one.label == "backward")
        return [
            Event((call.step, 1), "backward", call.stack, self.reach.get(call.stack), step=call.step)
            for call in calls
            if call.raised is None and call.within is None and is_in_step(call.stack)
        ]

    @cached_property
    def _closures(self) -> set[tuple[int, int]]:
        calls = self._history.calls_of(lambda one: one.kind is Kind.BACKWARD)
        inside = [call.step for call in calls if is_in_step(call.stack)]
        moments = [event.moment for event in self.of("step")]
        places = [bisect_right(moments, (step, 0)) - 1 for step in inside]
        return {moments[place] for place in places if place >= 0}

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


def is_in_step(stack: Stack, *, but_first: bool = False) -> bool:
    """Whether an optimizer's step was running, as where a closure goes backward."""
    frames = stack.frames[1:]
    return any(any(one in (frame.entry or "") for one in _STEP) for frame in (frames if but_first else stack.frames))


def optimized(trace: Trace) -> set[TensorId]:
    """The tensors that an optimizer was built over."""
    return {param for optimizer in trace.optimizers for param in optimizer.params}


def reads_grad(function: Function) -> bool:
    """Whether a function reads a gradient, which has no path to begin with."""
    return function.kind is Kind.GETTER and function.label == "grad"

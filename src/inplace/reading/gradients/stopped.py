"""Parameters that an optimizer goes on with and that lost their gradient on the way, though nobody froze them.

NOTE [ Lost on the way ]
Gradients that end are mostly meant: a head whose turn is over, an expert that is not chosen, a player that waits, an
encoder that is frozen, a state that is learned for the first chunk only. So one is missed only where all of this is so:
the steps found it at first, and at none of the last ones, two at least, with no gap before; the parameter requires grad
still; no other of that optimizer got one in its place; the line that went backward is one that reached it before; and
what its last loss was computed from leads to the parameter through one cut, on a line that is no matter of turns.
"""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inplace.facts.model import Act, Call, TensorId
from inplace.reading.gradients.replaced import replaced_leaves
from inplace.reading.trace.gradient_events import Event
from inplace.reading.trace.index import Index
from inplace.reading.trace.lineage import is_moved_by_hand
from inplace.reading.trace.place import Place

_LAST = 2  # steps without a gradient from which on it is missed
_RANDOM = ("rand", "bernoulli", "choice", "sample")


@dataclass(frozen=True, slots=True)
class Stopped:
    """A leaf that got gradients, the backwards of the last step which should have, and at how many steps it had one."""

    leaf: TensorId
    backwards: tuple[Call, ...]
    steps: tuple[int, int]


def stopped_leaves(index: Index) -> Iterator[Stopped]:
    """Yield the leaves whose gradient stopped on the way, with the last backwards that should have given it."""
    events = index.gradients
    steps = [event for event in events.of("step") if event.moment[0] + 1 >= events.since]
    ended = events.ended
    if not ended:
        return
    ended = ended - {orphan for one in replaced_leaves(index) for orphan in one.orphans}
    backwards = [event for event in events.of("backward") if event.step is not None]
    moments = [event.moment for event in backwards]
    places = _Places(steps)
    for leaf in sorted(ended):
        own = [step for step in steps if leaf in (step.leaves or ())]
        had = _had(places, own, leaf)
        state = index.history.last_state(leaf)
        if not had or len(own) - had < _LAST or state is None or not state.requires_grad:
            continue
        if any(map(events.has_closure, own)) or _takes_turns(own, had) or _was_frozen(index, leaf):
            continue
        lines = {event.stack for event in backwards[: bisect_left(moments, own[had - 1].moment)]}
        last = backwards[bisect_left(moments, own[-2].moment) : bisect_left(moments, own[-1].moment)]
        known = {stack for stack in lines if leaf in events.reach.get(stack, ())}
        last = [event for event in last if event.stack in (known or lines)]
        if last and not is_moved_by_hand(index, leaf):
            calls = tuple(index.trace.calls[event.step] for event in reversed(last) if event.step is not None)
            yield Stopped(leaf, calls, (had, len(own) - had))


class _Places:
    """Where each leaf stands in the letters of a step; most steps have the same leaves."""

    def __init__(self, steps: Sequence[Event]) -> None:
        self._of: dict[tuple[int, ...], dict[int, int]] = {}
        for step in steps:
            if step.numbers not in self._of:
                self._of[step.numbers] = {number: place for place, number in enumerate(step.numbers)}

    def letter(self, step: Event, leaf: TensorId) -> str:
        """What a step found of a leaf."""
        place = self._of[step.numbers][leaf]
        return step.found[place] if place < len(step.found) else "?"


def _had(places: _Places, steps: Sequence[Event], leaf: TensorId) -> int:
    """At how many steps a leaf had a gradient before it had none to the end; 0 where it came and went.

    One whose values were not looked at is as the one before it was, unless that was none.
    """
    had = 0
    lost = ""
    for number, step in enumerate(steps):
        letter = places.letter(step, leaf)
        if lost and (letter not in "-0?" or (letter == "?" and lost == "-")):
            return 0
        if not lost:
            if letter == "-" or (letter == "0" and number):
                lost = letter
            else:
                had = number + 1
    return had


def _takes_turns(steps: Sequence[Event], had: int) -> bool:
    """Whether another parameter has a gradient from the step on at which this one lost its own, and had none before."""
    before, after = steps[had - 1], steps[had]
    if before.numbers != after.numbers:
        return False
    return any(one == "-" and other not in "-0" for one, other in zip(before.found, after.found, strict=False))


def _was_frozen(index: Index, leaf: TensorId) -> bool:
    """Whether somebody let a leaf that required grad require none: then who trains it when is a plan."""
    flags = [state.requires_grad for state in index.history.states_of(leaf)]
    return True in flags and not all(flags[flags.index(True) :])


# ---------------------------------------------------------------- turns by the source


def is_by_turns(index: Index, call: Call) -> bool:
    """Whether a call is made, by the source, at every so many steps or by chance."""
    places = [index.places.at(frame, None) for frame in call.stack.frames]
    acts = [act for act in index.trace.acts if act.act is Act.SWITCHED_OFF and act.step <= call.step]
    places += [index.places.at(frame, None) for act in acts[-1:] for frame in act.stack.frames[:1]]
    return any(_is_on_turn(index, place) for place in places)


def _is_on_turn(index: Index, place: Place) -> bool:
    code = index.places.code(place)
    around = code.source_code.statements_around(place.position)
    tests: list[ast.expr] = [one.test for one in around if isinstance(one, ast.If | ast.While)]
    for statement in around[-1:]:
        tests += [one.test for one in ast.walk(statement) if isinstance(one, ast.IfExp)]
    for one in around:
        if isinstance(one, ast.With | ast.AsyncWith):
            tests += [item.context_expr for item in one.items]
    names = {one.id for test in tests for one in ast.walk(test) if isinstance(one, ast.Name)}
    for name in names:
        above = code.assignment_above(place.position, name)
        node = code.source_code.node(above) if above is not None else None
        tests += [node] if isinstance(node, ast.expr) else []
    return any(_is_turn(one) for test in tests for one in ast.walk(test))


def _is_turn(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Mod | ast.BitAnd)
    called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
    return any(word in called for word in _RANDOM)

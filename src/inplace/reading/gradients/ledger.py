"""The ledger of gradients: for each parameter and each step, what reached its gradient, changed it, and used it.

NOTE [ Turns ]
What happens between two steps of optimizers is a turn, told by the step that ends it. Turns of one line in which the
same happened follow each other by the thousand: they are one column, and its lines are those of a typical one. What is
left of the turn before, such as a gradient that is cleared before the next backward, does not tell two turns apart.

NOTE [ What is known of a turn ]
At a step, and where gradients are cleared, it was seen which parameters have a gradient. Which of them a backward goes
to is known from the graphs that were looked at, of a line mostly the first: it is said of a later turn only where a
gradient was there. Where one was there that had been cleared, and one line alone went backward since, it was that line.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from inplace.facts.model import Stack, TensorId
from inplace.reading.trace.gradient_events import Event, is_in_step
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

State = Literal["used", "zero", "not finite", "none", "lost", "kept", "reached", "skipped", ""]
"""How a gradient was when a step came.

used: the step used it. zero: it was zero everywhere. not finite: an element was infinite or no number.
none: there was none. lost: it was reached, and cleared before the step.
kept: it was there, and no backward of the turn that was looked at leads to it. reached: it is there, and the step is
another optimizer's, or there was none. skipped: a scaler left the step out. Empty: nothing happened to it.
"""
CALM: frozenset[State] = frozenset(["used", "reached", ""])
"""How gradients are in most programs."""
What = Literal["reached", "scaled", "unscaled", "clipped", "cleared", "set", "read", "used", "skipped"]
"""What happened to it; `scaled` where a backward that reached it began at a loss which a scaler had multiplied."""

_LETTERS: dict[str, State] = {"x": "not finite", "0": "zero", "-": "none"}
_WHATS: dict[str, What] = {
    "backward": "reached",
    "clear": "cleared",
    "set": "set",
    "read": "read",
    "clip": "clipped",
    "unscale": "unscaled",
    "step": "used",
    "scaler step": "skipped",
}
_TOLD_APART = 12  # parameters up to which each has a row of its own
_ROWS = 40
_COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that happened to a gradient in a turn, on a line, as often as that; `step` is a call of it, if any."""

    what: What
    place: Place | None
    step: int | None
    times: int = 1


@dataclass(frozen=True, slots=True)
class Cell:
    """What happened to the gradient of one parameter in one turn."""

    state: State
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """Turns that are alike: the line of the step that ends them, from which to which of that line's, and a call of it.

    `place` is None for what comes behind the last step, or where there is none.
    """

    place: Place | None
    optimizer: str
    first: int
    times: int
    step: int | None


@dataclass(frozen=True, slots=True)
class Row:
    """Parameters to whose gradients the same happened: their names, and a cell for each column."""

    tensors: tuple[TensorId, ...]
    names: tuple[str, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger of one trace; the hidden counts say what is left out of it."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    hidden_columns: int = 0
    hidden_parameters: int = 0

    @property
    def is_telling(self) -> bool:
        """Whether it has anything that is not as it is in most programs."""
        return any(cell.state not in CALM for row in self.rows for cell in row.cells)


@dataclass(slots=True)
class _Turn:
    """Turns that are alike, while they are counted; `events` are those of a typical one."""

    events: list[Event]
    key: object
    first: int = 1
    times: int = 1


def ledger(index: Index) -> Ledger:
    """The ledger of a trace; empty where nothing happened to gradients in the run that it is of."""
    turns = _turns(index)
    if not turns:
        return Ledger((), ())
    shown = turns if len(turns) <= _COLUMNS else [*turns[: _COLUMNS // 2], *turns[-_COLUMNS // 2 :]]
    columns = tuple(_column(index, turn) for turn in shown)
    readers = [_Cells(index, turn) for turn in shown]
    rows: dict[object, list[TensorId]] = {}
    cells: dict[TensorId, tuple[Cell, ...]] = {}
    leaves = _leaves(index, shown)
    for leaf in leaves:
        found = cells[leaf] = tuple(reader.cell(leaf) for reader in readers)
        rows.setdefault(leaf if len(leaves) <= _TOLD_APART else found, []).append(leaf)
    kept = list(rows.values())
    told = tuple(
        Row(tuple(own), tuple(index.names.parameter(one) for one in own), cells[own[0]]) for own in kept[:_ROWS]
    )
    return Ledger(columns, told, len(turns) - len(shown), sum(map(len, kept[_ROWS:])))


# ---------------------------------------------------------------- turns


def _turns(index: Index) -> list[_Turn]:
    """The turns of the run, alike ones of a line together, in the order in which they came first."""
    found: list[_Turn] = []
    latest: dict[Stack | None, _Turn] = {}
    for events in _split(index.gradients.all, index.gradients.since):
        end = events[-1]
        line = end.stack if end.what in {"step", "scaler step"} else None
        key, before = _key(events), latest.get(line)
        if before is not None and before.key == key:
            before.times += 1
            before.events = events if before.times == 2 else before.events  # noqa: PLR2004  # the second is typical
            continue
        turn = latest[line] = _Turn(events, key, 1 if before is None else before.first + before.times)
        found.append(turn)
    return found


def _split(events: Sequence[Event], since: int) -> Iterator[list[Event]]:
    """The events of each turn of the run; those of the last one only where something reached or read a gradient."""
    turn: list[Event] = []
    scaler: Event | None = None  # that has not made its step yet
    for event in events:
        if scaler is not None and event.what not in {"step", "read"}:
            yield [*turn, scaler]
            turn, scaler = [], None
        if event.what == "scaler step":
            scaler = event
            continue
        turn.append(event)
        if event.what == "step":
            scaler = None
            if event.moment[0] + 1 >= since:
                yield turn
            turn = []
    if scaler is not None:
        yield [*turn, scaler]
    elif any(event.what in {"backward", "read"} and event.moment[0] >= since for event in turn):
        yield turn


def _key(events: Sequence[Event]) -> object:
    """What tells turns apart: what happened from the first backward on, on which lines, and what steps found."""
    begun, parts = False, []
    for event in events:
        begun = begun or event.what == "backward"
        if begun or event.what == "step":
            found = event.found.replace("?", "f") if event.what == "step" else event.found
            parts.append((event.what, event.stack, found))
    return tuple(parts)


def _column(index: Index, turn: _Turn) -> Column:
    end = turn.events[-1]
    ended = end.what in {"step", "scaler step"}
    place = index.places.of_stack(end.stack, None) if ended else None
    step = index.gradients.call_of(end) if ended else None
    label = index.trace.calls[step].function.label if step is not None else ""
    return Column(place, label.partition(".step")[0] if ".step" in label else "", turn.first, turn.times, step)


# ---------------------------------------------------------------- rows


def _leaves(index: Index, turns: Sequence[_Turn]) -> list[TensorId]:
    """The leaves to whose gradients something happened in some turns: those of optimizers first, in their order."""
    found: dict[TensorId, None] = {}
    for turn in turns:
        if turn.events[-1].what == "step":
            found.update(dict.fromkeys(TensorId(number) for number in turn.events[-1].numbers))
    others: dict[TensorId, None] = {}
    for turn in turns:
        for event in turn.events:
            others.update(dict.fromkeys(event.leaves or ()))
    return [*found, *sorted(leaf for leaf in others if leaf not in found and _is_leaf(index, leaf))]


def _is_leaf(index: Index, tensor: TensorId) -> bool:
    state = index.history.last_state(tensor)
    return state is not None and state.is_leaf and state.requires_grad


def _shape(index: Index, tensor: TensorId) -> tuple[int, ...]:
    state = index.history.last_state(tensor)
    return state.layout.shape if state is not None else ()


def _shapes_of(index: Index, clip: Event) -> list[tuple[int, ...]]:
    """The shapes of the gradients that a line has clipped: what the first calls of its run took, which are alike."""
    columns, states, found = index.history.columns, index.trace.states, list[tuple[int, ...]]()
    first = clip.step or 0
    step = first
    while step < len(columns.stack) and (columns.stack[step], columns.function[step]) == (
        columns.stack[first],
        columns.function[first],
    ):
        found += [states[one].layout.shape for one in columns.before[columns.begins[step] : columns.begins[step + 1]]]
        step += 1
    return found


@dataclass(slots=True)
class _Cells:
    """Reads the cells of one turn."""

    index: Index
    turn: _Turn
    _marks: dict[int, tuple[Mark, ...]] = field(default_factory=dict)
    _clips: dict[tuple[int, int], frozenset[TensorId]] = field(default_factory=dict)

    def cell(self, leaf: TensorId) -> Cell:
        """What happened to the gradient of one leaf."""
        inferred = self._inferred(leaf)
        own = [event for event in self.turn.events if event in inferred or self._is_about(event, leaf)]
        if not own:
            return Cell("")
        return Cell(self._state(own, leaf), self._told(own))

    def _inferred(self, leaf: TensorId) -> list[Event]:
        """The backwards that must have reached a leaf: it had a gradient at the step, and none before that one line."""
        end = self.turn.events[-1]
        if end.what != "step" or leaf not in (end.leaves or ()) or end.found[end.numbers.index(leaf)] == "-":
            return []
        cleared, after = False, list[Event]()
        for event in self.turn.events:
            if event.what == "clear" and leaf in (event.leaves or ()):
                cleared, after = True, []
            elif event.what == "backward":
                if event.leaves is None or leaf in event.leaves:
                    return []
                after.append(event)
            elif event.what == "set" and leaf in (event.leaves or ()):
                return []
        return after if cleared and len({event.stack for event in after}) == 1 else []

    def _is_about(self, event: Event, leaf: TensorId) -> bool:
        if event.what == "read" and (is_in_step(event.stack) or self.index.gradients.library(event.stack) is not None):
            return False  # it is told as what the step, or a library, does
        if event.what == "clip":
            return leaf in self._clipped(event)
        if event.leaves is None:
            return event.what in {"unscale", "scaler step"} and leaf in self.index.gradients.known
        if event.what == "clear" and event.numbers and leaf in event.leaves:
            return event.found[event.numbers.index(leaf)] != "-"  # there was one to clear
        return leaf in event.leaves

    def _clipped(self, clip: Event) -> frozenset[TensorId]:
        """The leaves whose gradients a line has clipped, as far as their shapes tell them apart."""
        found = self._clips.get(clip.moment)
        if found is None:
            found = self._clips[clip.moment] = self._of_shapes(clip, _shapes_of(self.index, clip))
        return found

    def _of_shapes(self, clip: Event, shapes: Sequence[tuple[int, ...]]) -> frozenset[TensorId]:
        before = [event for event in self.turn.events if event.what == "backward" and event.moment < clip.moment]
        reached = frozenset[TensorId]().union(*(event.leaves or () for event in before))
        end = self.turn.events[-1]
        order = [TensorId(one) for one in end.numbers] if end.what == "step" else sorted(reached)
        there = {leaf: _shape(self.index, leaf) for leaf in order if leaf in reached}
        if list(there.values()) == list(shapes):
            return frozenset(there)
        counts = Counter(there.values())
        return frozenset(leaf for leaf, shape in there.items() if counts[shape] == shapes.count(shape))

    def _told(self, events: Sequence[Event]) -> tuple[Mark, ...]:
        """The marks of some events, those of one line that follow each other as one."""
        key = hash(tuple(event.moment for event in events))
        if key not in self._marks:
            found: list[Mark] = []
            for event in events:
                for mark in self._marks_of(event):
                    last = found[-1] if found else None
                    if last is not None and (last.what, last.place) == (mark.what, mark.place):
                        found[-1] = Mark(last.what, last.place, last.step, last.times + 1)
                    else:
                        found.append(mark)
            self._marks[key] = tuple(found)
        return self._marks[key]

    def _marks_of(self, event: Event) -> Iterator[Mark]:
        place, step = self.index.places.of_stack(event.stack, None), self.index.gradients.call_of(event)
        if event.what == "backward" and self.index.gradients.is_scaled(event):
            yield Mark("scaled", place, step)
        elif event.what in _WHATS:
            yield Mark(_WHATS[event.what], place, step)

    def _state(self, events: Sequence[Event], leaf: TensorId) -> State:
        reached = lost = False
        read = ""
        for event in events:
            if event.what in {"backward", "set"}:
                reached, lost = True, False
            elif event.what == "clear":
                reached, lost = False, reached
            elif event.what == "read":
                read = self._read(event)
            elif event.what == "scaler step":
                return "skipped"
            elif event.what == "step":
                return self._at_step(event, leaf, reached=reached, lost=lost)
        if read in _LETTERS:
            return "lost" if lost and read == "-" else _LETTERS[read]
        return "lost" if lost else "reached" if reached else ""

    def _at_step(self, step: Event, leaf: TensorId, *, reached: bool, lost: bool) -> State:
        letter = step.found[step.numbers.index(leaf)] if step.found else "?"
        if self.index.gradients.has_closure(step):
            return "used"
        if lost and letter in "-0":
            return "lost"
        return _LETTERS.get(letter, "used" if reached else "kept")

    def _read(self, event: Event) -> str:
        """What a line found that read a gradient: a letter as in `GradientAct.found`."""
        call = self.index.trace.calls[event.step] if event.step is not None else None
        if call is None or not call.outputs:
            return "-"
        values = self.index.trace.states[call.outputs[0]].values
        numbers = [one for one in values or () if isinstance(one, float | int)]
        if not numbers:
            return "?"
        return "x" if not all(map(math.isfinite, numbers)) else "f" if any(numbers) else "0"

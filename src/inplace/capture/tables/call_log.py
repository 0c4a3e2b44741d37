"""What the mode notes of calls, in columns of integers: a million calls are not a million objects."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from inplace.capture.tables.numbers import Numbers
from inplace.facts.model import StateId

# Positions in one row of `CallLog.calls`.
FUNCTION, STACK, MODE, MODULE, SEQ0, SEQ1, GIVEN, OUT, OUTS = range(9)
WIDTH = 9
GIVEN_WIDTH = 3  # path, state before, state after

POSITIONS = 256  # positions of arguments that are their own numbers as paths


@dataclass(frozen=True, slots=True)
class Row:
    """The facts of one call, as small integers and strings."""

    step: int
    function: int
    stack: int
    mode: int
    module: int | None
    seq0: int
    seq1: int
    inputs: tuple[tuple[str, StateId, StateId], ...]
    outputs: tuple[StateId, ...]


class CallLog(Sequence[Row]):
    """The calls of one recording.

    The mode writes to the columns itself: that is the hot path, where a method costs more than what it would do.

    Attributes:
        calls: WIDTH integers a call; sequence numbers count from `origin`.
        given: GIVEN_WIDTH integers for each tensor argument, those of one call in a row.
        paths: what the numbers of paths stand for.
        outputs: states of the tensors that calls gave out, those of one call in a row.
        raised: the type and message of the exception that left a call, by step.
        results: the Python number that a call gave out, by step.
        within: the step of the backward that was running, by step.
    """

    def __init__(self, origin: int) -> None:
        self.origin = origin
        self.calls = array("i")
        self.given = array("i")
        self.outputs = array("i")
        self.raised: dict[int, tuple[str, str]] = {}
        self.results: dict[int, float | int] = {}
        self.within: dict[int, int] = {}
        self._path_numbers = Numbers(map(str, range(POSITIONS)))
        self.paths = self._path_numbers.values

    def __len__(self) -> int:
        return len(self.calls) // WIDTH

    def __getitem__(self, step: int) -> Row:  # type: ignore[override]  # no slices: nobody asks for them
        if step < 0:
            step += len(self)
        if not 0 <= step < len(self):
            raise IndexError(step)
        calls, origin = self.calls, self.origin
        start = step * WIDTH
        function, stack, mode, module, seq0, seq1, _, out, outs = calls[start : start + WIDTH]
        return Row(
            step=step,
            function=function,
            stack=stack,
            mode=mode,
            module=None if module < 0 else module,
            seq0=seq0 + origin,
            seq1=seq1 + origin,
            inputs=self.inputs(step),
            outputs=tuple(self.outputs[out : out + outs]),  # type: ignore[arg-type]  # integers that are StateIds
        )

    def stack(self, step: int) -> int:
        """The number of the stack that a call was made from."""
        return self.calls[step * WIDTH + STACK]

    def inputs(self, step: int) -> tuple[tuple[str, StateId, StateId], ...]:
        """Path, state before and state after of the tensors that went into a call."""
        following = (step + 1) * WIDTH + GIVEN
        first = self.calls[step * WIDTH + GIVEN]
        last = self.calls[following] if following < len(self.calls) else len(self.given)
        given, paths = self.given[first:last], self.paths
        if len(given) == GIVEN_WIDTH:
            return ((paths[given[0]], given[1], given[2]),)  # type: ignore[return-value]  # integers that are StateIds
        return tuple(
            [
                (paths[given[at]], StateId(given[at + 1]), StateId(given[at + 2]))
                for at in range(0, len(given), GIVEN_WIDTH)
            ]
        )

    def step_of(self, node: int) -> int | None:
        """The call during which the autograd node of this sequence number was made."""
        number, calls = node - self.origin, self.calls
        for start in range(0, len(calls), WIDTH):
            if calls[start + SEQ0] <= number < calls[start + SEQ1]:
                return start // WIDTH
        return None

    def path(self, text: str) -> int:
        """The number of an argument's path."""
        return self._path_numbers.of(text)

    def renumber(self, places: Sequence[int]) -> None:
        """Put the places that the states have in a trace for their ids, as `States.frozen` gives them."""
        self.outputs = array("i", map(places.__getitem__, self.outputs))
        for column in (1, 2):
            self.given[column::GIVEN_WIDTH] = array("i", map(places.__getitem__, self.given[column::GIVEN_WIDTH]))

    def sequence(self, column: int) -> list[int]:
        """The sequence numbers in SEQ0 or SEQ1 of all calls."""
        return [number + self.origin for number in self.calls[column::WIDTH]]

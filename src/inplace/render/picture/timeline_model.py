"""The timeline of a diagram as columns: what many calls have in common is said once, and a call is one number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Scalar = float | int | bool | str

CALLS = 200_000
"""Calls in the picture at most."""


@dataclass(frozen=True, slots=True)
class Form:
    """What many calls have in common: numbers in `Calls.texts`, the place, and flags."""

    label: int
    place: int
    code: int
    module: int
    mode: int
    flags: int
    allocated: int


@dataclass(frozen=True, slots=True)
class CallPlace:
    """Where calls were made: innermost line shown, and the line of the recorded cell that led there.

    `built` is the library's class whose `__init__` made them, as a number in `Calls.texts`; -1 for none.
    """

    source: int
    line: int
    column: int
    end_line: int
    end_column: int
    cell_line: int
    function: int
    built: int = -1


@dataclass(frozen=True, slots=True)
class Folds:
    """How the list of calls folds.

    `lines` are the first steps of runs of calls from one line of the cell, `rounds` those of iterations of loops, both
    as differences to the previous one. `loops` are the lines of the loops that rounds belong to, 0 outside of loops.
    """

    lines: tuple[int, ...]
    rounds: tuple[int, ...]
    loops: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Calls:
    """The timeline in columns. `forms[i]` of call i; writes are sparse and sorted by step.

    `write_steps` are differences to the previous entry. `memory` are (step, live bytes) in order, thinned to 2,000,
    `kept` those of them that are kept for backward.
    `raised` maps the steps of calls that raised to what they said. `results` are numbers given to Python.
    """

    count: int
    hidden: int
    texts: tuple[str, ...]
    forms: tuple[Form, ...]
    places: tuple[CallPlace, ...]
    form: tuple[int, ...]
    write_steps: tuple[int, ...]
    write_tensors: tuple[int, ...]
    write_from: tuple[int, ...]
    write_moved: tuple[int, ...]
    memory: tuple[tuple[int, int], ...]
    kept: tuple[tuple[int, int], ...]
    raised: tuple[tuple[int, str], ...]
    results: tuple[tuple[int, Scalar], ...]
    folds: Folds


def steps_apart(steps: Sequence[int]) -> tuple[int, ...]:
    """Numbers as differences to the previous one, the first to 0: small, and so short in JSON."""
    return tuple(after - before for before, after in pairwise([0, *steps]))

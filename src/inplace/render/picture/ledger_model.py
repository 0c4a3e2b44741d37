"""The pane of gradients as values: parameters by steps, what led to each cell said once and referred to by number."""

from __future__ import annotations

from dataclasses import dataclass

from inplace.render.picture.spot import Spot


@dataclass(frozen=True, slots=True)
class LedgerColumn:
    """One step, or several of one line that were alike: the line, which of that line's they are, and a call of it."""

    line: str
    turns: str
    step: int | None


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One parameter, or several with the same cells: for each column how the gradient was, and what led to it.

    `states` are numbers in `LedgerPane.states`, `chains` in `LedgerPane.chains`. `tensor` is the first of them.
    """

    name: str
    names: tuple[str, ...]
    names_hidden: int
    tensor: int
    states: tuple[int, ...]
    chains: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LedgerMark:
    """One thing that happened to a gradient on a line, as often as that."""

    did: str
    spot: Spot | None
    times: int


@dataclass(frozen=True, slots=True)
class LedgerState:
    """How a gradient was: what it is called in the code, in a cell, and in a sentence."""

    key: str
    word: str
    meaning: str


@dataclass(frozen=True, slots=True)
class LedgerPane:
    """The pane of gradients; without columns nothing happened to any. `opening` is the row and column shown first."""

    columns: tuple[LedgerColumn, ...] = ()
    rows: tuple[LedgerRow, ...] = ()
    states: tuple[LedgerState, ...] = ()
    chains: tuple[tuple[LedgerMark, ...], ...] = ()
    opening: tuple[int, int] = (0, 0)
    parameters: int = 0
    steps: int = 0
    hidden_columns: int = 0
    hidden_parameters: int = 0


NO_LEDGER = LedgerPane()
"""The pane where nothing happened to gradients."""

"""Ledger -> the pane of gradients."""

from __future__ import annotations

from inplace.checks.report import Report
from inplace.reading.gradients.ledger import CALM, Ledger, Mark, State
from inplace.reading.trace.place import Place
from inplace.render.picture.ledger_model import NO_LEDGER, LedgerColumn, LedgerMark, LedgerPane, LedgerRow, LedgerState
from inplace.render.picture.source import Texts
from inplace.render.words.ledger import DID, MEANINGS, heading, label, state

_NAMES = 8
_TELLING: tuple[State, ...] = ("lost", "not finite", "kept", "zero", "none", "skipped")


def ledger_pane(report: Report, texts: Texts, shown: dict[int, int]) -> LedgerPane:
    """The pane of gradients of a report; `shown` are the sources that are shown."""
    ledger, trace = report.ledger, report.trace
    if not ledger.rows:
        return NO_LEDGER
    chains: dict[tuple[Mark, ...], int] = {}
    states: dict[LedgerState, int] = {}
    rows = []
    for row in ledger.rows:
        own = []
        for cell, column in zip(row.cells, ledger.columns, strict=True):
            said = LedgerState(cell.state or "nothing", state(cell, column), MEANINGS[cell.state])
            own.append((states.setdefault(said, len(states)), chains.setdefault(cell.marks, len(chains))))
        names = tuple(name[:200] for name in row.names[:_NAMES])
        numbers = tuple(one for one, _ in own), tuple(chain for _, chain in own)
        rows.append(LedgerRow(label(row)[:200], names, len(row.names) - len(names), row.tensors[0], *numbers))
    return LedgerPane(
        columns=tuple(LedgerColumn(*heading(column, trace), column.step) for column in ledger.columns),
        rows=tuple(rows),
        states=tuple(states),
        chains=tuple(tuple(_mark(mark, texts, shown) for mark in marks) for marks in chains),
        opening=_opening(ledger),
        parameters=sum(len(row.tensors) for row in ledger.rows) + ledger.hidden_parameters,
        steps=sum(column.times for column in ledger.columns if column.place is not None),
        hidden_columns=ledger.hidden_columns,
        hidden_parameters=ledger.hidden_parameters,
    )


def _mark(mark: Mark, texts: Texts, shown: dict[int, int]) -> LedgerMark:
    place = mark.place
    at = None if place is None else Place(place.label, place.file, place.position, place.code, mark.step)
    return LedgerMark(DID[mark.what], None if at is None else texts.spot(at, shown), mark.times)


def _opening(ledger: Ledger) -> tuple[int, int]:
    """The most telling cell, the first of those that are alike in the order of the steps."""
    found = [
        (_TELLING.index(own.cells[column].state), column, row)
        for column in range(len(ledger.columns))
        for row, own in enumerate(ledger.rows)
        if own.cells[column].state not in CALM
    ]
    _, column, row = min(found, default=(0, 0, 0))
    return row, column

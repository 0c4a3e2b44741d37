"""The ledger of gradients as text and JSON, and the words of its states, which the picture uses too."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from inplace.facts.model import Trace
from inplace.reading.gradients.ledger import Cell, Column, Ledger, Mark, Row, State, What
from inplace.reading.trace.place import Place
from inplace.render.words.parts import where
from inplace.render.words.setting import columns, safe

STATES: dict[State, str] = {
    "used": "used",
    "zero": "zero",
    "not finite": "not finite",
    "none": "None",
    "lost": "cleared",
    "kept": "left over",
    "reached": "not used",
    "skipped": "skipped",
    "": "-",
}
"""What is written in a cell."""
MEANINGS: dict[State, str] = {
    "used": "the step used it",
    "zero": "it was zero everywhere",
    "not finite": "an element was infinite or no number",
    "none": "there was none",
    "lost": "it was cleared before the step",
    "kept": "it was there, but no backward of this turn that was looked at leads to it",
    "reached": "it is there, and this step does not use it",
    "skipped": "the scaler left the step out",
    "": "nothing happened to it",
}
DID: dict[What, str] = {
    "reached": "backward",
    "scaled": "backward, scaled,",
    "unscaled": "unscaled",
    "clipped": "clipped",
    "cleared": "cleared",
    "set": "set",
    "read": "read",
    "used": "step",
    "skipped": "no step",
}
_WIDTH = 88
_WIDEST = 30  # columns of a name
_NAMES = 3  # parameters of one row that are named
_END = "at the end"
_THERE = "there"  # what `reached` is where no step was to use it
_NOTHING = "gradients: no backward was recorded"


def ledger_text(ledger: Ledger, trace: Trace) -> str:
    """A table of parameters by steps, and the lines that led to each cell."""
    if not ledger.columns:
        return _NOTHING
    turns = sum(column.times for column in ledger.columns if column.place is not None)
    parameters = sum(len(row.tensors) for row in ledger.rows)
    steps = _counted(turns, "step") if turns else "no step"
    head = f"gradients: {_counted(parameters, 'parameter')}, {steps}"
    hidden = [
        *([f"{_counted(ledger.hidden_columns, 'more column')}"] if ledger.hidden_columns else []),
        *([f"{_counted(ledger.hidden_parameters, 'more parameter')}"] if ledger.hidden_parameters else []),
    ]
    more = [f"  … and {' and '.join(hidden)}"] if hidden else []
    return safe("\n".join([head, "", *_table(ledger, trace), *more, "", *_lines(ledger, trace)]))


def heading(column: Column, trace: Trace) -> tuple[str, str]:
    """What stands above a column: the line of its step, and which turns of that line."""
    if column.place is None:
        return _END, ""
    return where(column.place, trace), f"step{'s' if column.times > 1 else ''} {_turns(column)}"


def state(cell: Cell, column: Column) -> str:
    """What is written in a cell."""
    return _THERE if cell.state == "reached" and column.place is None else STATES[cell.state]


def label(row: Row) -> str:
    """The name of a row: that of its only parameter, or of the first and how many more there are."""
    first = row.names[0]
    return first if len(row.names) == 1 else f"{first} and {len(row.names) - 1} more"


def _table(ledger: Ledger, trace: Trace) -> Iterator[str]:
    names = [_cut(label(row)) for row in ledger.rows]
    margin = 2 + max(map(columns, names), default=0)
    heads = [heading(column, trace) for column in ledger.columns]
    cells = [[state(row.cells[number], column) for row in ledger.rows] for number, column in enumerate(ledger.columns)]
    widths = [2 + max(map(columns, [*head, *own])) for head, own in zip(heads, cells, strict=True)]
    begin = 0
    while begin < len(widths):
        end, room = begin + 1, _WIDTH - margin - widths[begin]
        while end < len(widths) and widths[end] <= room:
            room -= widths[end]
            end += 1
        if begin:
            yield ""
        shown = range(begin, end)
        yield " " * margin + "".join(_padded(heads[one][0], widths[one]) for one in shown).rstrip()
        if any(heads[one][1] for one in shown):
            yield (" " * margin + "".join(_padded(heads[one][1], widths[one]) for one in shown)).rstrip()
        for number, name in enumerate(names):
            told = "".join(_padded(cells[one][number], widths[one]) for one in shown)
            yield (_right("  " + name, margin) + told).rstrip()
        begin = end


def _lines(ledger: Ledger, trace: Trace) -> Iterator[str]:
    """For each column what happened on which lines, columns and parameters to which the same happened together."""
    same: dict[tuple[tuple[Mark, ...], ...], list[str]] = {}
    for row in ledger.rows:
        same.setdefault(tuple(cell.marks for cell in row.cells), []).extend(row.names)
    for chains, names in same.items():
        turns: dict[str, list[Column]] = {}
        for column, marks in zip(ledger.columns, chains, strict=True):
            if marks:
                turns.setdefault(told(marks, trace), []).append(column)
        if turns:
            yield f"  {_few(names)}"
        for chain, when in turns.items():
            yield from textwrap.wrap(
                f"{_together(when)}: {chain}",
                _WIDTH,
                initial_indent="    ",
                subsequent_indent="      ",
                break_on_hyphens=False,
            )


def _together(columns: Sequence[Column]) -> str:
    """Which turns some columns are of, those that follow each other as one range."""
    ranges: list[Column] = []
    for column in columns:
        last = ranges[-1] if ranges else None
        if last is not None and last.place == column.place and last.first + last.times == column.first:
            ranges[-1] = replace(last, times=last.times + column.times)
        else:
            ranges.append(column)
    return ", ".join(dict.fromkeys(map(_turns, ranges)))


def _turns(column: Column) -> str:
    """Which turns a column is of: `1 to 12`, or `end`."""
    if column.place is None:
        return _END
    return str(column.first) if column.times == 1 else f"{column.first} to {column.first + column.times - 1}"


def told(marks: Sequence[Mark], trace: Trace) -> str:
    """What happened to a gradient in a turn, in order: `cleared line 9 → backward line 10 → step line 11`."""
    return " → ".join(_mark(mark, trace) for mark in marks)


def _mark(mark: Mark, trace: Trace) -> str:
    times = f", {mark.times} times" if mark.times > 1 else ""
    return f"{DID[mark.what]}{f' {where(mark.place, trace)}' if mark.place is not None else ''}{times}"


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(map(_cut, names[:_NAMES]))
    return f"{shown} and {len(names) - _NAMES} more" if len(names) > _NAMES else shown


def _cut(name: str) -> str:
    return name if columns(name) <= _WIDEST else f"…{name[-_WIDEST + 1 :]}"


def _padded(text: str, width: int) -> str:
    return "  " + text + " " * (width - 2 - columns(text))


def _right(text: str, width: int) -> str:
    return text + " " * (width - columns(text))


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


# ---------------------------------------------------------------- JSON


def ledger_json(ledger: Ledger) -> dict[str, Any] | None:
    """The ledger as the public JSON has it: see docs/json-contract.md; None where no backward was recorded."""
    if not ledger.columns:
        return None
    return {
        "columns": [_column(column) for column in ledger.columns],
        "parameters": [{"names": list(row.names), "cells": [_cell(cell) for cell in row.cells]} for row in ledger.rows],
        "hidden_columns": ledger.hidden_columns,
        "hidden_parameters": ledger.hidden_parameters,
    }


def _column(column: Column) -> dict[str, Any]:
    return {
        "optimizer": column.optimizer or None,
        "at": _at(column.place),
        "first": column.first,
        "times": column.times,
    }


def _cell(cell: Cell) -> dict[str, Any]:
    marks = [{"what": mark.what, "at": _at(mark.place), "times": mark.times} for mark in cell.marks]
    return {"state": cell.state or "nothing", "marks": marks}


def _at(place: Place | None) -> dict[str, Any] | None:
    return None if place is None else {"file": place.file, "line": place.position.line}

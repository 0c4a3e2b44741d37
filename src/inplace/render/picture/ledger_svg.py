"""The pane of gradients in the still picture: the first rows and columns, and what led to the most telling cell."""

from __future__ import annotations

from inplace.render.picture.canvas import INK, PAD, SOFT, Canvas
from inplace.render.picture.ledger_model import LedgerMark, LedgerPane

_COLUMN, _ROW = 108.0, 22.0
_ROWS, _COLUMNS = 8, 6
_NAME = 26  # characters of a name
_FIRST = 186.0  # where the first column begins
_RULE = "#e2e5ea"
_COLOURS = {
    "used": "#2c5aa0",
    "lost": "#b8380b",
    "not finite": "#b8380b",
    "zero": "#8a5a00",
    "none": "#8a5a00",
    "kept": "#8a5a00",
}


def draw_ledger(canvas: Canvas, pane: LedgerPane) -> None:
    """Draw a table of parameters by steps around the most telling cell, and its chain."""
    row, column = pane.opening
    rows = _around(row, len(pane.rows), _ROWS)
    columns = _around(column, len(pane.columns), _COLUMNS)
    canvas.title("GRADIENTS  parameters by steps")
    canvas.y += 14
    for place, number in enumerate(columns):
        x = PAD + _FIRST + place * _COLUMN
        canvas.text(x, pane.columns[number].line, size=11, mono="1", font_weight="600")
        canvas.text(x, pane.columns[number].turns, y=canvas.y + 14, size=10, fill=SOFT)
    canvas.y += 22
    for one in rows:
        canvas.path(f"M{PAD} {canvas.y:.1f} H{PAD + _FIRST + len(columns) * _COLUMN:.1f}", stroke=_RULE)
        _row(canvas, pane, one, columns)
        canvas.y += _ROW
    hidden = [(len(pane.rows) - len(rows), "rows"), (len(pane.columns) - len(columns), "columns")]
    if more := [f"{count} more {what}" for count, what in hidden if count]:
        canvas.text(PAD, f"… {', '.join(more)}", y=canvas.y + 12, size=11, fill=SOFT)
        canvas.y += 16
    canvas.y += 18
    turns = f", {pane.columns[column].turns}" if pane.columns[column].turns else ""
    chain = " → ".join(_told(mark) for mark in pane.chains[pane.rows[row].chains[column]])
    canvas.prose(PAD, ("", pane.rows[row].name, f"{turns}: {chain}"), width=112, step=17, size=12)


def _around(wanted: int, count: int, most: int) -> range:
    """At most so many numbers of a count, with the wanted one among them."""
    first = max(0, min(wanted - most // 2, count - most))
    return range(first, min(count, first + most))


def _row(canvas: Canvas, pane: LedgerPane, number: int, columns: range) -> None:
    row, base = pane.rows[number], canvas.y + 15
    name = row.name if len(row.name) <= _NAME else f"…{row.name[-_NAME + 1 :]}"
    canvas.text(PAD, name, y=base, size=11, mono="1")
    for place, column in enumerate(columns):
        state = pane.states[row.states[column]]
        x, colour = PAD + _FIRST + place * _COLUMN, _COLOURS.get(state.key, SOFT)
        if (number, column) == pane.opening:
            canvas.box(x - 8, canvas.y + 2, _COLUMN - 6, _ROW - 4, rx="4", fill="none", stroke=colour)
        is_used = state.key == "used"
        weight = "600" if state.key in _COLOURS and not is_used else "400"
        canvas.text(x, state.word, y=base, size=11, fill=INK if is_used else colour, font_weight=weight)


def _told(mark: LedgerMark) -> str:
    times = f", {mark.times} times" if mark.times > 1 else ""
    return f"{mark.did}{'' if mark.spot is None else f' line {mark.spot.line}'}{times}"

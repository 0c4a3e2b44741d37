"""Which range of the user's source an instruction came from."""

from __future__ import annotations

import dis
import sys
from itertools import islice
from types import CodeType

from inplace.facts.model import Position
from inplace.facts.source_code import SourceCode

if sys.version_info < (3, 11):
    from inplace.capture.code.executed import executed


def position_of(code: CodeType, instruction: int, source: SourceCode) -> Position:
    """The range of source that the instruction at byte offset `instruction` of `code` came from.

    A negative `instruction` stands for a whole line, by its number.
    """
    if instruction < 0:
        return source.on_line(-instruction)
    if sys.version_info >= (3, 11):
        found = _as_in_file(code, _noted(code, instruction), source)
    else:
        found = executed(code, instruction, _line_of(code, instruction), source)
    return found or source.on_line(_line_of(code, instruction))


def _noted(code: CodeType, instruction: int) -> Position | None:
    """What a code object says itself; None where Python was told to leave that out (`-X no_debug_ranges`)."""
    if sys.version_info >= (3, 11):
        for line, end_line, column, end_column in islice(code.co_positions(), instruction // 2, None):
            if line is None or end_line is None or column is None or end_column is None:
                return None
            return Position(line, column, end_line, end_column)
    return None


def _as_in_file(code: CodeType, noted: Position | None, source: SourceCode) -> Position | None:
    """Where a range is in its file, if the code was dedented before it was compiled, as marimo does with a cell."""
    if noted is None or source.node(noted) is not None:
        return noted
    by = _dedented_by(code, source)
    moved = Position(noted.line, noted.column + by, noted.end_line, noted.end_column + by)
    return moved if by and source.node(moved) is not None else noted


def _dedented_by(code: CodeType, source: SourceCode) -> int:
    """By how many columns the lines of a code object begin before those of its file; 0 where none does."""
    least: dict[int, int] = {}
    for line, _, column, end in code.co_positions() if sys.version_info >= (3, 11) else ():
        if line is not None and column is not None and end:
            least[line] = min(column, least.get(line, column))
    lines = {number: source.line(number) for number in least}
    return max(
        (len(lines[number]) - len(lines[number].lstrip()) - column for number, column in least.items()), default=0
    )


def _line_of(code: CodeType, instruction: int) -> int:
    line = code.co_firstlineno
    for start, number in dis.findlinestarts(code):
        if start > instruction:
            break
        line = number if number is not None else line
    return line

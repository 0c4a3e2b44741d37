"""Changes to one source text by exact ranges, which leave the rest of it, comments and all, as it is."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from inplace.checks.finding import Rewrite
from inplace.facts.model import Source


@dataclass(frozen=True, slots=True)
class Edit:
    """Puts `text` in place of a range; lines from 1, columns in UTF-8 bytes from 0, as `ast` counts."""

    start: tuple[int, int]
    end: tuple[int, int]
    text: str


class Editor:
    """The statements of one source, and changes to it."""

    def __init__(self, source: Source) -> None:
        self.file = source.file
        self._lines = [line.encode() for line in lines_of(source.text or "")]
        try:
            self.tree = ast.parse(source.text or "")
        except (SyntaxError, ValueError):
            self.tree = ast.Module(body=[], type_ignores=[])
        self._blocks = [
            block
            for node in ast.walk(self.tree)
            for name in ("body", "orelse", "finalbody")
            if isinstance(block := getattr(node, name, None), list)
        ]

    def text_of(self, node: ast.expr | ast.stmt) -> str:
        """The source text of a node."""
        return self._between(start_of(node), end_of(node))

    def lines(self, first: int, last: int) -> str:
        """Whole lines of the source."""
        return b"\n".join(self._lines[first - 1 : last]).decode(errors="replace")

    def block_of(self, statement: ast.stmt) -> list[ast.stmt]:
        """The statements among which one stands."""
        return next((block for block in self._blocks if statement in block), [statement])

    def indent_of(self, statement: ast.stmt) -> str:
        """The white space before a statement."""
        return self._lines[statement.lineno - 1][: statement.col_offset].decode()

    def is_alone(self, statement: ast.stmt) -> bool:
        """Whether a statement has its lines to itself."""
        before = self._lines[statement.lineno - 1][: statement.col_offset].strip()
        _, column = end_of(statement)
        after = self._lines[(statement.end_lineno or statement.lineno) - 1][column:].strip()
        return not before and (not after or after.startswith(b"#"))

    def rewrite(self, edits: list[Edit]) -> Rewrite:
        """The whole lines that some edits change, before and after."""
        first = min(edit.start[0] for edit in edits)
        last = max(edit.end[0] for edit in edits)
        new = b"\n".join(self._lines[first - 1 : last])
        for edit in sorted(edits, key=lambda one: (one.start, one.end), reverse=True):
            start, end = self._at(edit.start, first), self._at(edit.end, first)
            new = new[:start] + edit.text.encode() + new[end:]
        old = b"\n".join(self._lines[first - 1 : last])
        return Rewrite(self.file, first, old.decode(errors="replace"), new.decode(errors="replace"))

    def _at(self, position: tuple[int, int], first: int) -> int:
        line, column = position
        return sum(len(one) + 1 for one in self._lines[first - 1 : line - 1]) + column

    def _between(self, start: tuple[int, int], end: tuple[int, int]) -> str:
        text = b"\n".join(self._lines[start[0] - 1 : end[0]])
        return text[start[1] : self._at(end, start[0])].decode(errors="replace")


def applied(text: str, rewrite: Rewrite) -> str:
    """A source text with a rewrite made."""
    lines = lines_of(text)
    last = rewrite.line - 1 + len(lines_of(rewrite.old))
    return "\n".join([*lines[: rewrite.line - 1], *lines_of(rewrite.new), *lines[last:]]) + "\n"


def difference(file: str, old: str, new: str) -> Rewrite:
    """The rewrite that makes one source text of another: the lines from the first to the last that differ."""
    one, two = lines_of(old), lines_of(new)
    first = next((n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    rest = zip(reversed(one[first:]), reversed(two[first:]), strict=False)
    last = next((n for n, (a, b) in enumerate(rest) if a != b), min(len(one), len(two)) - first)
    if first + last == len(one) and last:  # nothing is taken out: a line that stays says where
        last -= 1
    return Rewrite(file, first + 1, "\n".join(one[first : len(one) - last]), "\n".join(two[first : len(two) - last]))


def lines_of(text: str) -> list[str]:
    """The lines of a source as Python counts them; `str.splitlines` also ends one at a form feed and the like."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]


def start_of(node: ast.expr | ast.stmt) -> tuple[int, int]:
    """Where a node begins."""
    return node.lineno, node.col_offset


def end_of(node: ast.expr | ast.stmt) -> tuple[int, int]:
    """Where a node ends."""
    return node.end_lineno or node.lineno, node.end_col_offset or node.col_offset

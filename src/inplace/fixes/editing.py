"""Changes to one source text by exact ranges, which leave the rest of it, comments and all, as it is."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from inplace.checks.finding import Rewrite
from inplace.facts.lines import lines_of
from inplace.facts.model import Position
from inplace.facts.source_code import SourceCode, node_position


@dataclass(frozen=True, slots=True)
class Edit:
    """Puts `text` in place of a range; where the range is empty, it goes in there."""

    position: Position
    text: str


def in_place_of(node: ast.expr | ast.stmt, text: str) -> Edit:
    """A text instead of a node."""
    return Edit(node_position(node), text)


def in_front_of(node: ast.expr | ast.stmt, text: str) -> Edit:
    """A text right before a node."""
    return Edit(Position(*node_position(node).start, *node_position(node).start), text)


def behind(node: ast.expr | ast.stmt, text: str) -> Edit:
    """A text right after a node."""
    return Edit(Position(*node_position(node).end, *node_position(node).end), text)


def line_gone(statement: ast.stmt) -> Edit:
    """The lines of a statement, with nothing in their place."""
    return lines_gone(statement.lineno, statement.end_lineno or statement.lineno)


def lines_gone(first: int, last: int) -> Edit:
    """Some whole lines, with nothing in their place."""
    return Edit(Position(first, 0, last + 1, 0), "")


def rewritten(file: str, source: SourceCode, edits: Sequence[Edit]) -> Rewrite:
    """The whole lines of a file that some edits change, before and after."""
    first = min(edit.position.line for edit in edits)
    old = "\n".join(source.lines[first - 1 : max(edit.position.end_line for edit in edits)])
    new = old.encode(errors="replace")
    for edit in sorted(edits, key=lambda one: (one.position.start, one.position.end), reverse=True):
        start, end = (_byte(source, first, *at) for at in (edit.position.start, edit.position.end))
        new = new[:start] + edit.text.encode(errors="replace") + new[end:]
    return Rewrite(file, first, old, new.decode(errors="replace"))


def _byte(source: SourceCode, first: int, line: int, column: int) -> int:
    """The number of a byte, counted from the beginning of the line `first`."""
    return sum(len(one.encode(errors="replace")) + 1 for one in source.lines[first - 1 : line - 1]) + column


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


def joined(text: str, rewrites: Sequence[Rewrite]) -> Rewrite | None:
    """Several rewrites of one source text as one; None where two of them change the same line."""
    ordered = sorted(rewrites, key=lambda one: one.line)
    ends = [one.line + len(lines_of(one.old)) for one in ordered]
    if any(end > later.line for end, later in zip(ends, ordered[1:], strict=False)):
        return None
    changed = text
    for one in reversed(ordered):
        changed = applied(changed, one)
    found = difference(ordered[0].file, text, changed)
    return Rewrite(found.file, found.line, found.old, found.new, ordered[0].cure)

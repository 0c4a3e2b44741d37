"""The source pane: which lines of which files are shown, what is marked on them, and how places are named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from inplace.checks.report import Report
from inplace.facts.model import Position, Site, Stack
from inplace.facts.source_code import LOOPS
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place
from inplace.render.picture.model import Mark, Role, SourcePane
from inplace.render.picture.spot import Spot
from inplace.render.words.telling import bounds_of

_SOURCES = 4  # sources shown at most
_LINES = 400  # lines shown of one source at most
_AROUND = 12  # lines shown before and after what matters, where a source is cut
_WIDTH = 400  # characters of a line at most
_MARKS = 300
_PIECE = 120  # characters of the text of a call at most

Loop = tuple[int, int]
"""The line a loop begins on, and the number of the statement of its body (from 0) that a place lies in."""


class Texts:
    """The user's sources as the picture shows them. Columns come in bytes and go out in characters."""

    def __init__(self, index: Index) -> None:
        self.trace = index.trace
        self._codes = index.places.codes
        self._by_file = {
            (source.label, source.file): number for number, source in reversed(list(enumerate(self.trace.sources)))
        }

    def lines(self, source: int) -> tuple[str, ...]:
        """The lines of a source."""
        return self._codes[source].source_code.lines

    def source_of(self, place: Place) -> int:
        """The number of the source a place is in, -1 where it is none of the trace's."""
        return self._by_file.get((place.label, place.file), -1)

    def column(self, source: int, line: int, column: int) -> int:
        """A column counted in characters."""
        return self._codes[source].source_code.column(line, column) if source >= 0 else column

    def piece(self, site: Site) -> str:
        """The first line of the text of a site, cut at 120 characters."""
        first, more, _ = self._codes[site.source].text(site.position).partition("\n")
        return first[:_PIECE].rstrip() + (" …" if more or len(first) > _PIECE else "")

    def spot(self, place: Place, shown: dict[int, int]) -> Spot:
        """A place as the picture names it."""
        source, position = self.source_of(place), place.position
        return Spot(
            source=shown.get(source, -1),
            label=place.label,
            line=position.line,
            column=self.column(source, position.line, position.column),
            end_line=position.end_line,
            end_column=self.column(source, position.end_line, position.end_column),
            code=place.code[:600],
            step=place.step,
        )

    def innermost(self, stack: Stack) -> Site | None:
        """The innermost site of a stack, None where it has none."""
        return self.trace.site(stack.frames[0]) if stack.frames else None

    def in_cell(self, stack: Stack) -> Iterator[Site]:
        """The sites of a stack that lie in the recorded code, innermost first."""
        for frame in stack.frames:
            site = self.trace.site(frame)
            if self.trace.sources[site.source].is_cell:
                yield site

    def loop(self, stack: Stack) -> Loop | None:
        """The outermost loop of the recorded code that a stack is in, and the statement of its body."""
        for site in reversed(list(self.in_cell(stack))):
            around = self._codes[site.source].source_code.statements_around(site.position)
            for outer, inner in pairwise(around):
                if isinstance(outer, LOOPS) and inner in outer.body:
                    return outer.lineno, outer.body.index(inner)
        return None

    def assigned(self, stack: Stack) -> str:
        """The name that the source gives to the result of a call made at a stack; empty where it gives none."""
        site = self.innermost(stack)
        name = self._codes[site.source].name_given(site.position) if site is not None else None
        return (name or "")[:60]


def shown_sources(report: Report, texts: Texts, visits: Counter[int]) -> dict[int, int]:
    """Which sources are shown, as number in the trace -> in the picture: the cell, findings' files, the busiest.

    Where there are more cells than are shown, those of findings come before the others.
    """
    sources = report.trace.sources
    cells = [number for number, source in enumerate(sources) if source.is_cell]
    told = [texts.source_of(place) for one in report.findings for place in (*one.places, *one.bounds())]
    busiest = [number for number, _ in visits.most_common(_SOURCES)]
    wanted = [*told, *cells, *busiest] if len(cells) > _SOURCES else [*cells, *told, *busiest]
    kept = [number for number in dict.fromkeys(wanted) if number >= 0 and texts.lines(number)][:_SOURCES]
    if len(cells) > _SOURCES:
        kept.sort()
    return {number: place for place, number in enumerate(kept)}


def marks_of(
    report: Report, texts: Texts, writes: Counter[tuple[int, Position]], first: dict[tuple[int, Position], int]
) -> list[tuple[int, Mark]]:
    """Every mark, with the trace number of its source: findings first, then where the run ended, then other writes."""
    found: list[tuple[int, Mark]] = []
    for number, finding in enumerate(report.findings):
        for order, place in enumerate(finding.culprits):
            role: Role = finding.further_role if order else finding.role
            found.append(_mark(texts, texts.source_of(place), place.position, role, number, place.step))
        if finding.victim is not None:
            place = finding.victim.place
            found.append(_mark(texts, texts.source_of(place), place.position, "victim", number, place.step))
        for place, _ in bounds_of(finding):
            found.append(_mark(texts, texts.source_of(place), place.position, "bound", number, place.step))
    failure = report.trace.failure
    ended = next(texts.in_cell(failure.stack), None) if failure is not None and failure.stack is not None else None
    if ended is not None:
        found.append(_mark(texts, ended.source, ended.position, "raised", -1, None))
    for (source, position), times in writes.items():
        found.append(_mark(texts, source, position, "write", -1, first[(source, position)], times))
    return found


def _mark(
    texts: Texts, source: int, at: Position, role: Role, finding: int, step: int | None, times: int = 1
) -> tuple[int, Mark]:
    start, end = texts.column(source, at.line, at.column), texts.column(source, at.end_line, at.end_column)
    return source, Mark(at.line, start, at.end_line, end, role, finding, step, times)


def panes(texts: Texts, shown: dict[int, int], marks: list[tuple[int, Mark]]) -> tuple[SourcePane, ...]:
    """The shown sources with their marks; a long source is cut to the lines around its first marks."""
    found = []
    for source in shown:
        own = [mark for number, mark in marks if number == source][:_MARKS]
        lines = texts.lines(source)
        first, last = _window(len(lines), own)
        first = max(first, _empty(lines) + 1)
        cut = tuple(line[:_WIDTH] + (" …" if len(line) > _WIDTH else "") for line in lines[first - 1 : last])
        about, empty = texts.trace.sources[source], _empty(lines)
        above = max(0, first - 1 - empty)
        hidden = len(lines) - len(cut) - min(empty, first - 1)
        found.append(SourcePane(about.label, about.is_cell, first, cut, hidden, tuple(own), above))
    return tuple(found)


def _empty(lines: Sequence[str]) -> int:
    """How many empty lines a source begins with; none where there is nothing else."""
    return next((number for number, line in enumerate(lines) if line.strip()), 0)


def _window(count: int, marks: list[Mark]) -> tuple[int, int]:
    if count <= _LINES:
        return 1, count
    told = [mark.line for mark in marks if mark.finding >= 0] or [mark.line for mark in marks] or [1]
    first = max(1, min(told[0], max(told[0] - _LINES // 2, min(told))) - _AROUND)
    return first, min(count, first + _LINES - 1)

"""One finding -> plain text: the headline, the lines that matter, and what to do."""

from __future__ import annotations

from collections.abc import Iterator

from inplace.checks.finding import Finding, Rewrite
from inplace.facts.model import Trace
from inplace.reading.trace.place import Place
from inplace.render.words.changes import changed_lines
from inplace.render.words.cures import how_known
from inplace.render.words.setting import MARKS, WIDEST, WIDTH, columns, safe, wrapped
from inplace.render.words.telling import bounds_of, facts, fix_summary, headline, why, words_of

_COLOURS = {"error": "\x1b[31m", "warning": "\x1b[33m", "info": "\x1b[2m"}
_RESET = "\x1b[0m"
MOST_INFO = 8
_Line = tuple[tuple[str, str], int]  # the label and file of a source, and a line of it


def told(finding: Finding, trace: Trace) -> str:
    """One finding as text, as it stands among others."""
    if finding.severity == "info":
        return "\n".join(notes([finding], trace, WIDTH, color=False))
    return "\n".join(block(finding, trace, WIDTH, color=False))


def block(finding: Finding, trace: Trace, width: int, *, color: bool) -> Iterator[str]:
    """The lines of an error or a warning: what, where, why, what was seen, and what to do."""
    mark = MARKS[finding.severity]
    yield from wrapped(f"{mark} {finding.kind}: ", safe(headline(finding, trace)), width, _paint(finding, color=color))
    yield ""
    yield from _excerpt(finding, trace)
    yield ""
    yield from wrapped("  why  ", safe(why(finding, trace)), width)
    if seen := facts(finding, trace):
        yield from wrapped("  seen ", safe(seen), width)
    yield from wrapped("  fix  ", safe(fix_summary(finding, trace)), width)
    if finding.rewrite is not None:
        yield from _change(finding.rewrite)
    if known := how_known(finding):
        yield from wrapped("       ", safe(known), width)


def notes(findings: list[Finding], trace: Trace, width: int, *, color: bool) -> Iterator[str]:
    """Infos, a line each: those that reassure come last, and many are counted."""
    order = sorted(findings, key=lambda finding: not finding.reassures)
    for finding in order[:MOST_INFO]:
        yield from wrapped(f"{MARKS['info']} ", safe(headline(finding, trace)), width, _paint(finding, color=color))
    if len(order) > MOST_INFO:
        yield f"{MARKS['info']} and {len(order) - MOST_INFO} more like these"


def _change(rewrite: Rewrite) -> Iterator[str]:
    """The lines that a rewrite takes out and puts in, those that it leaves alone not marked."""
    yield from (safe(f"       {line}") for line in changed_lines(rewrite))


def _paint(finding: Finding, *, color: bool) -> tuple[str, str]:
    return (_COLOURS[finding.severity], _RESET) if color else ("", "")


def _excerpt(finding: Finding, trace: Trace) -> Iterator[str]:
    """The lines that matter, each with its ranges underlined: ^ for what did it, ~ for what suffers, - for bounds."""
    marked: dict[_Line, list[tuple[Place, str]]] = {}
    if finding.victim is not None:
        _mark(marked, finding.victim.place, "~")
    for place in finding.culprits:
        _mark(marked, place, "^")
    needs = "saved here" if finding.broken() is not None else words_of(finding).needs(finding)
    bounds: dict[_Line, str] = {}
    for place, said in bounds_of(finding):
        _mark(marked, place, "-")
        bounds[_key(place)] = said
    last = None
    for source, line in sorted(marked, key=lambda key: (_order(trace, key[0]), key[1])):
        if last is not None and last != (source, line - 1):
            yield f"{'':>6}┆"
        if last is None or last[0] != source:
            yield f"  {safe(source[0])}"
        yield from _line(trace, source, line, marked[source, line], bounds.get((source, line), needs))
        last = (source, line)


def _mark(marked: dict[_Line, list[tuple[Place, str]]], place: Place, sign: str) -> None:
    marked.setdefault(_key(place), []).append((place, sign))


def _key(place: Place) -> _Line:
    return (place.label, place.file), place.position.line


def _order(trace: Trace, wanted: tuple[str, str]) -> int:
    order = (number for number, source in enumerate(trace.sources) if (source.label, source.file) == wanted)
    return next(order, len(trace.sources))


def _line(
    trace: Trace, wanted: tuple[str, str], line: int, marks: list[tuple[Place, str]], label: str
) -> Iterator[str]:
    source = next((source for source in trace.sources if (source.label, source.file) == wanted), None)
    lines = source.lines() if source is not None else ()
    text = lines[line - 1] if 0 < line <= len(lines) else marks[0][0].code
    shown = safe(text.expandtabs(4))
    yield f"{line:>5} │ {shown[:WIDEST]}".rstrip()
    under = [" "] * (columns(shown) + 1)
    for place, sign in marks:
        start, stop = _span(text, place)
        under[start:stop] = sign * (stop - start)
    label = label if all(sign != "^" for _, sign in marks) else ""
    yield f"{'':>5} │ {''.join(under).rstrip()[:WIDEST]} {label}".rstrip()


def _span(text: str, place: Place) -> tuple[int, int]:
    """The columns of a line that a place covers, from its UTF-8 byte offsets."""
    raw = text.encode()
    stop = place.position.end_column if place.position.end_line == place.position.line else len(raw)
    before = safe(raw[: place.position.column].decode(errors="replace").expandtabs(4))
    upto = safe(raw[:stop].decode(errors="replace").expandtabs(4))
    return columns(before), max(columns(upto), columns(before) + 1)

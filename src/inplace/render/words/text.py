"""Report -> plain text, for terminals and for `text/plain`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wcwidth import wcwidth

from inplace.checks.finding import Finding, Rewrite, Severity
from inplace.checks.report import Report
from inplace.facts.model import Kind, Trace
from inplace.facts.rows import call_columns
from inplace.reading.place import Place
from inplace.render.words.changes import changed_lines
from inplace.render.words.cures import how_known
from inplace.render.words.not_looked_at import sentences, standing
from inplace.render.words.phrase import plain
from inplace.render.words.telling import bounds_of, facts, fix_summary, headline, why, words_of

if TYPE_CHECKING:
    from inplace.render.words.earlier import Earlier

MARKS = {"error": "✗", "warning": "!", "info": "·"}
_COLOURS = {"error": "\x1b[31m", "warning": "\x1b[33m", "info": "\x1b[2m"}
_LOUD: tuple[Severity, ...] = ("error", "warning")
_RESET = "\x1b[0m"
WIDEST = 110  # columns of a source line that are shown
WIDTH = 88  # columns that prose is wrapped to
MOST_INFO = 8
_Line = tuple[tuple[str, str], int]  # the label and file of a source, and a line of it


def to_text(report: Report, *, width: int = WIDTH, color: bool = False, earlier: Earlier | None = None) -> str:
    """The report as text, the worst first; the last line counts.

    Args:
        report: what was found.
        earlier: what was found in the windows before, where it is that of the last window of a long recording.
        width: columns that prose is wrapped to.
        color: whether to colour marks with ANSI escapes; everything is said without them too.
    """
    blocks = []
    for severity in _LOUD:
        loud = [finding for finding in report.findings if finding.severity == severity]
        blocks += ["\n".join(_block(finding, report.trace, width, color=color)) for finding in loud]
        blocks += [] if earlier is None else earlier.texts(report, severity, width)
    quiet = [finding for finding in report.findings if finding.severity == "info"]
    lines = [*_notes(quiet, report.trace, width, color=color)] if quiet else []
    lines += [] if earlier is None else earlier.texts(report, "info", width)
    if lines:
        blocks.append("\n".join(lines))
    noted = [note.text for note in report.trace.notes]
    noted = noted if earlier is None else [*dict.fromkeys([*earlier.notes, *noted])]
    notes = [f"note: {safe(one)}" for one in noted]
    unseen = sentences(report) if earlier is None else earlier.left_out(sentences(report))
    left_out = [line for one in unseen for line in wrapped("not looked at: ", safe(one), width)]
    stands = wrapped("note: ", safe(plain(standing(report))), width) if report.standing else []
    let_go = [] if earlier is None else [*wrapped("let go of: ", let_go_of(earlier.calls, earlier.windows), width)]
    blocks.append("\n".join([*notes, *left_out, *stands, *let_go, _count(report, earlier)]))
    return "\n\n".join(blocks)


def let_go_of(calls: int, windows: int) -> str:
    """What was let go of in a long run, in a sentence."""
    return f"{calls:,} calls in {number_of(windows, 'window')}, each looked at before; pictures show what was kept."


def told(finding: Finding, trace: Trace) -> str:
    """One finding as text, as it stands among others."""
    if finding.severity == "info":
        return "\n".join(_notes([finding], trace, WIDTH, color=False))
    return "\n".join(_block(finding, trace, WIDTH, color=False))


def safe(text: str) -> str:
    """Text with control characters made visible, so that names and source can't drive a terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else repr(letter)[1:-1] for letter in text)


def columns(text: str) -> int:
    """How many columns of a terminal a text takes; a control character takes none."""
    return sum(max(wcwidth(letter), 0) for letter in text)


# ---------------------------------------------------------------- one finding


def _block(finding: Finding, trace: Trace, width: int, *, color: bool) -> Iterator[str]:
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


def _change(rewrite: Rewrite) -> Iterator[str]:
    """The lines that a rewrite takes out and puts in, those that it leaves alone not marked."""
    yield from (safe(f"       {line}") for line in changed_lines(rewrite))


def _paint(finding: Finding, *, color: bool) -> tuple[str, str]:
    return (_COLOURS[finding.severity], _RESET) if color else ("", "")


def wrapped(lead: str, text: str, width: int, paint: tuple[str, str] = ("", "")) -> list[str]:
    """A text in lines of at most `width` columns, the first of which begins with `lead`."""
    indent = " " * (2 if len(lead) > width // 3 else len(lead))
    lines = textwrap.wrap(text, width, initial_indent=lead, subsequent_indent=indent, break_on_hyphens=False)
    return [f"{paint[0]}{line}{paint[1]}" for line in lines] or [lead.rstrip()]


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


# ---------------------------------------------------------------- the rest


def _notes(findings: list[Finding], trace: Trace, width: int, *, color: bool) -> Iterator[str]:
    order = sorted(findings, key=lambda finding: not finding.reassures)
    for finding in order[:MOST_INFO]:
        yield from wrapped(f"{MARKS['info']} ", safe(headline(finding, trace)), width, _paint(finding, color=color))
    if len(order) > MOST_INFO:
        yield f"{MARKS['info']} and {len(order) - MOST_INFO} more like these"


def written(report: Report) -> int:
    """How many calls wrote in place, without those that gave a module its first values."""
    trace = report.trace
    columns = call_columns(trace.calls)
    building = [any(frame.builds for frame in stack.frames[:1]) for stack in columns.stacks]
    is_op = [function.kind is Kind.OP for function in columns.functions]
    ops = [
        step
        for step in columns.may_write
        if step >= trace.fresh and is_op[columns.function[step]] and not building[columns.stack[step]]
    ]
    return sum(1 for step in ops if step in columns.writing or any(True for _ in trace.writes(trace.calls[step])))


def _count(report: Report, earlier: Earlier | None) -> str:
    trace = report.trace
    calls, writes = len(trace.calls) - trace.fresh, written(report)
    found = {severity: sum(f.severity == severity for f in report.findings) for severity in _LOUD}
    within = ""
    if earlier is not None:
        calls, writes = calls + earlier.calls, writes + earlier.written
        found = {severity: earlier.count(report, severity) for severity in _LOUD}
        within = f" in {number_of(earlier.windows + 1, 'window')}"
    verdict = ", ".join(number_of(count, severity) for severity, count in found.items() if count) or (
        _nothing(report) if trace.failure is None else _ended_by(trace.failure.type)
    )
    return f"{number_of(calls, 'call')}{within}, {writes} in place: {verdict}"


def _ended_by(error: str) -> str:
    return "interrupted" if error == "KeyboardInterrupt" else f"ended by {error}"


def _nothing(report: Report) -> str:
    """That nothing was found, as far as that goes: an info may say how things are, and a part may be unseen."""
    if report.standing:
        return "nothing new"
    notes = sum(not finding.reassures for finding in report.findings)
    if notes:  # which say how things are, and may be what somebody looks for
        return number_of(notes, "note")
    if report.trace.notes:
        return "nothing wrong in what was recorded" if report.trace.calls else "nothing can be said"
    return "nothing wrong in what was looked at" if report.not_looked_at else "nothing wrong"


def number_of(count: int, noun: str) -> str:
    """A number of things: `1 call`, `2 calls`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"

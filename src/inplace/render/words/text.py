"""Report -> plain text, for terminals and for `text/plain`."""

from __future__ import annotations

from inplace.checks.finding import Severity
from inplace.checks.report import Report
from inplace.render.words.counted import let_go_of, number_of, written
from inplace.render.words.earlier import Earlier
from inplace.render.words.finding_text import block, notes
from inplace.render.words.not_looked_at import sentences, standing
from inplace.render.words.phrase import plain
from inplace.render.words.setting import WIDTH, safe, wrapped

_LOUD: tuple[Severity, ...] = ("error", "warning")


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
        blocks += ["\n".join(block(finding, report.trace, width, color=color)) for finding in loud]
        blocks += [] if earlier is None else earlier.texts(report, severity, width)
    quiet = [finding for finding in report.findings if finding.severity == "info"]
    lines = [*notes(quiet, report.trace, width, color=color)] if quiet else []
    lines += [] if earlier is None else earlier.texts(report, "info", width)
    if lines:
        blocks.append("\n".join(lines))
    noted = [note.text for note in report.trace.notes]
    noted = noted if earlier is None else [*dict.fromkeys([*earlier.notes, *noted])]
    said = [f"note: {safe(one)}" for one in noted]
    unseen = sentences(report) if earlier is None else earlier.left_out(sentences(report))
    left_out = [line for one in unseen for line in wrapped("not looked at: ", safe(one), width)]
    stands = wrapped("note: ", safe(plain(standing(report))), width) if report.standing else []
    let_go = [] if earlier is None else [*wrapped("let go of: ", let_go_of(earlier.calls, earlier.windows), width)]
    blocks.append("\n".join([*said, *left_out, *stands, *let_go, _count(report, earlier)]))
    return "\n\n".join(blocks)


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

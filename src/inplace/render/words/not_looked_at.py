"""What is said where a bound of ours was reached: what was left out, where, how often, and what that means."""

from __future__ import annotations

from inplace.checks.report import Report
from inplace.facts.model import Look, NotLookedAt
from inplace.render.words.parts import name, victim, where
from inplace.render.words.phrase import plain


def sentences(report: Report) -> tuple[str, ...]:
    """A sentence for each thing that was left out, plain."""
    return tuple(plain(_sentence(one, report)) for one in report.not_looked_at)


def all_clear(report: Report) -> str:
    """What is said where nothing was found."""
    if report.standing:
        return f"Nothing new. {plain(standing(report))}"
    if report.trace.notes:
        return "Nothing found in what was recorded; why that is not all is said below."
    if report.not_looked_at:
        return "Nothing found in what was looked at; what was not is said below."
    return "Nothing found: no overwritten tensor was still needed."


def standing(report: Report) -> str:
    """That what an earlier cell has overwritten is still needed."""
    first = report.standing[0]
    places = " and ".join(where(place, report.trace) for place in first.culprits[:1])
    needs = victim(first, report.trace)
    return f"Still so: {places} has overwritten {name(first)}, which `backward()` would need ({needs})."


def _sentence(one: NotLookedAt, report: Report) -> str:
    place = report.index.places.of_stack(one.stack, None) if one.stack is not None else None
    at = f" at {where(place, report.trace)}" if place is not None else ""
    times = "once" if one.count == 1 else f"{one.count:,} times"
    if one.what is Look.BACKWARD:
        told = f"the graph before a backward{at} ({times}: after {one.bound:,} walks of a line only some are made)"
        return f"{told}, so a silent change of what it had saved may have been missed."
    if one.what is Look.GRAPH:
        return f"what lies behind the first {one.bound:,} nodes of a graph{at} ({times})."
    if one.what is Look.CONTENTS:
        reason = f"it has more than {one.bound:,} bytes" if one.bound else "we read no memory of that kind"
        return f"the contents of a storage that others can write{at} ({times}: {reason})."
    if one.what is Look.LINES:
        reason = f"after {one.bound:,} lines or compared bytes" if one.bound else "another tool follows the lines"
        return f"which line changed bytes that others can write{at} ({reason})."
    if one.what is Look.NAMES:
        return f"names beyond a bound of {one.bound:,} ({times}), so a tensor may be shown without its name."
    if one.what is Look.HISTORY:
        return f"what ran before, beyond the last {one.bound:,} calls that could still matter ({times})."
    if one.what is Look.FRAMES:
        return f"frames of yours beyond the innermost {one.bound:,}{at} ({times})."
    return f"whether tensors overlap ({times}: undecided after {one.bound:,} tries)."

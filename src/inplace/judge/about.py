"""What a judge is to know of a finding, as plain values: a replay in another process tells of its own findings so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from inplace.checks.finding import Cure, Finding, Rewrite
from inplace.checks.report import Report
from inplace.facts.lines import lines_of
from inplace.facts.model import Kind
from inplace.fixes.candidate import Look

_OTHER_VALUES = frozenset({Cure.FORWARD_AGAIN, Cure.CARRIED_DETACHED, Cure.WRITE_RECORDED})
"""Changes that mean another loss or gradient from then on: what is to stay is what came before."""
_DETACHING = frozenset(
    [
        *(Cure.USE_DETACHED, Cure.CARRIED_DETACHED, Cure.ATTRIBUTE_DETACHED, Cure.DETACHED, Cure.AS_LEAF),
        Cure.EXPORT_DETACHED,
    ]
)


@dataclass(frozen=True, slots=True)
class About:
    """What a judge is to know of a finding.

    Attributes:
        kind: its kind.
        spots: file and line of each culprit, and of the victim.
        names: of what it is about.
        backward: the number of the backward that showed it, from 0; of the next one where none had come.
        keeps_values: whether what mends it leaves all values as they were.
        is_silent: whether nothing raised, and a gradient was wrong.
        is_recorded: whether autograd knows of every write that it is about.
        without: what gets a gradient once it is mended, None where that is not its matter.
        keeps_loss: whether what mends it leaves what the first backward is called on as it was.
        is_refused: whether that backward itself was refused.
        is_flat: whether that is for a derivative which is zero by definition: another is to be put in its place.
        blamed: file, line, column, last line and column behind it of each culprit.
    """

    kind: str
    spots: tuple[tuple[str, int], ...]
    names: tuple[str, ...]
    backward: int
    keeps_values: bool
    is_silent: bool
    is_recorded: bool
    without: tuple[str, ...] | None
    keeps_loss: bool = False
    is_refused: bool = False
    is_flat: bool = False
    blamed: tuple[tuple[str, int, int, int, int], ...] = ()

    @classmethod
    def of(cls, look: Look, finding: Finding) -> About:
        """What is to be known of a finding in a trace."""
        broken, without = finding.broken(), finding.without_gradient()
        backward, is_refused = _backward(look, finding)
        return cls(
            finding.kind,
            tuple(dict.fromkeys((place.file, place.position.line) for place in finding.places)),
            finding.names,
            backward,
            finding.keeps_values,
            broken is not None and broken.how == "silent",
            all(look.is_recorded(write) for write in look.writes_of(finding)),
            without,
            finding.keeps_loss,
            is_refused,
            finding.is_flat,
            tuple((place.file, *place.position.start, *place.position.end) for place in finding.blamed()),
        )

    @classmethod
    def of_dict(cls, value: Mapping[str, Any]) -> About:
        """The same, from what `to_dict` gave."""
        spots = tuple((file, line) for file, line in value["spots"])
        without = None if value["without"] is None else tuple(value["without"])
        blamed = tuple((file, *map(int, at)) for file, *at in value["blamed"])
        own = {"spots": spots, "names": tuple(value["names"]), "without": without, "blamed": blamed}
        return cls(**{**value, **own})

    def to_dict(self) -> dict[str, Any]:
        """Its fields, for a file."""
        return {name: getattr(self, name) for name in self.__slots__}  # type: ignore[attr-defined]  # a dataclass with slots

    def is_found_by(self, other: About, rewrites: tuple[Rewrite, ...]) -> bool:
        """Whether a finding of a run with some rewrites made is this one again: the same kind at the same place."""
        own = set(self.spots)
        return other.kind == self.kind and any(spot in own or spot is None for spot in other.before(rewrites))

    def before(self, rewrites: tuple[Rewrite, ...]) -> Iterator[tuple[str, int] | None]:
        """Where its places were before some rewrites of one file each; None for lines that a rewrite put in."""
        for file, line in self.spots:
            yield _before(file, line, rewrites)


def abouts(report: Report) -> list[About]:
    """All that is wrong in a report."""
    look = Look(report.index)
    return [About.of(look, one) for one in report.findings if one.severity != "info"]


def means_other_values(rewrite: Rewrite) -> bool:
    """Whether a change is meant to have the code compute other values from the faulty backward on."""
    return rewrite.cure in _OTHER_VALUES


def detaches(rewrite: Rewrite) -> bool:
    """Whether a change takes something out of the graph on purpose."""
    return rewrite.cure in _DETACHING


def ends_leaves(rewrite: Rewrite) -> bool:
    """Whether a change may be meant to have parameters require grad no longer."""
    return rewrite.cure is Cure.METHOD_CALLED


def _backward(look: Look, finding: Finding) -> tuple[int, bool]:
    """The number of the backward that showed a finding, from where the trace's run begins, and whether it raised."""
    trace = look.index.trace
    at = finding.at if finding.at is not None else max(finding.steps, default=len(trace.calls))
    last = min(at + 1, len(trace.calls))
    steps = look.index.history.columns.steps_of(lambda one: one.kind is Kind.BACKWARD, last)
    calls = [trace.calls[step] for step in steps if step >= trace.begin and trace.calls[step].within is None]
    if calls and calls[-1].raised is not None:
        return len(calls) - 1, True
    return sum(call.step < at for call in calls), False


def _before(file: str, line: int, rewrites: tuple[Rewrite, ...]) -> tuple[str, int] | None:
    for rewrite in sorted(rewrites, key=lambda one: one.line, reverse=True):
        old, new = len(lines_of(rewrite.old)), len(lines_of(rewrite.new))
        if rewrite.file != file or line < rewrite.line:
            continue
        if line < rewrite.line + new:
            kept = dict(enumerate(lines_of(rewrite.new)))[line - rewrite.line]
            found = [number for number, text in enumerate(lines_of(rewrite.old)) if text == kept]
            return (file, rewrite.line + found[0]) if found else None
        return file, line - new + old
    return file, line

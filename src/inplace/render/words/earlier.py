"""What was found in the windows of a long recording before the last: told at once, since their traces are let go of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from inplace.checks.finding import Finding, Severity
from inplace.checks.report import Report
from inplace.render.words.contract import left_out_json, told_json, with_reasons
from inplace.render.words.counted import written
from inplace.render.words.finding_text import told
from inplace.render.words.not_looked_at import sentences
from inplace.render.words.processes import compared, compared_on
from inplace.render.words.setting import wrapped

if TYPE_CHECKING:
    from typing_extensions import Self

_COUNTS = ("calls", "windows", "written", "uncounted")
MOST = 500
"""Findings that are kept told; more are counted."""


@dataclass
class _Told:
    """A finding told: its text, its JSON, the calls of the window that first had it, and how many windows had it."""

    severity: Severity
    text: str
    value: dict[str, Any]
    first: int
    last: int
    windows: int = 1

    def said(self, width: int) -> str:
        """The text, and when that was."""
        times = "" if self.windows == 1 else f", and again in {_windows(self.windows - 1)} after that"
        when = f"among calls {self.first:,} to {self.last:,}{times}"
        lead = "  when " if self.severity != "info" else "    "
        return "\n".join([self.text, *wrapped(lead, when, width)])


@dataclass
class _LeftOut:
    """What was not looked at in some windows: the sentence and the JSON of the first of them, and how many had it."""

    sentence: str
    value: dict[str, Any]
    windows: int = 1

    @property
    def said(self) -> str:
        return self.sentence if self.windows == 1 else f"{self.sentence} The same in {_windows(self.windows - 1)} more."


class Earlier:
    """What was found in the windows before the last; see NOTE [ Windows ].

    Attributes:
        calls: the calls of those windows.
        windows: how many there were.
        written: how many of the calls wrote in place.
        uncounted: findings beyond `MOST`.
        notes: what was noted while they were recorded, each once.
    """

    def __init__(self) -> None:
        self.calls = self.windows = self.written = self.uncounted = 0
        self.notes: list[str] = []
        self._found: dict[str, _Told] = {}
        self._left_out: dict[str, _LeftOut] = {}
        self._compared: dict[str, Any] | None = None

    def add(self, report: Report) -> None:
        """Tell of a window, and keep what was told."""
        trace = report.trace
        count = len(trace.calls) - trace.fresh
        first, self.calls = self.calls, self.calls + count
        self.windows += 1
        self._compared = compared_on(self._compared, compared(report.index))
        self.written += written(report)
        self.notes = [*dict.fromkeys([*self.notes, *(note.text for note in trace.notes)])]
        for finding in report.findings:
            key = _key(finding)
            known = self._found.get(key)
            if known is not None:
                known.windows += not finding.is_of_before(trace)
            elif len(self._found) < MOST:
                said, value = told(finding, trace), told_json(finding, trace)
                self._found[key] = _Told(finding.severity, said, value, first, self.calls - 1)
            else:
                self.uncounted += 1
        for fact, sentence in zip(report.not_looked_at, sentences(report), strict=True):
            place = report.index.places.of_stack(fact.stack, None) if fact.stack is not None else None
            key = repr((fact.what.value, fact.bound, None if place is None else place.spot))
            if key in self._left_out:
                self._left_out[key].windows += 1
            else:
                self._left_out[key] = _LeftOut(sentence, left_out_json(fact, sentence))

    def knows(self, finding: Finding) -> bool:
        """Whether an earlier window has told of a finding."""
        return _key(finding) in self._found

    def besides(self, report: Report) -> list[_Told]:
        """What was found earlier and not in the last window, too."""
        own = {_key(finding) for finding in report.findings}
        return [one for key, one in self._found.items() if key not in own]

    def texts(self, report: Report, severity: Severity, width: int) -> list[str]:
        """The texts of those of one severity, in the order in which they were found."""
        return [one.said(width) for one in self.besides(report) if one.severity == severity]

    def count(self, report: Report, severity: Severity) -> int:
        """How many findings of a severity the whole run has."""
        own = sum(finding.severity == severity for finding in report.findings)
        return own + sum(one.severity == severity for one in self.besides(report))

    def left_out(self, own: Iterable[str]) -> list[str]:
        """The sentences of what was not looked at, with those of the last window."""
        return [*dict.fromkeys([*(one.said for one in self._left_out.values()), *own])]

    def with_earlier(self, value: dict[str, Any], report: Report) -> dict[str, Any]:
        """The public JSON value of the last window as that of the whole run."""
        found = sorted([*value["diagnoses"], *(one.value for one in self.besides(report))], key=_gravity)
        left_out = [{**one.value, "message": one.said} for one in self._left_out.values()]
        whole = {
            **value,
            "calls": self.calls + value["calls"] - report.trace.fresh,
            "diagnoses": found,
            "compared": compared_on(self._compared, value["compared"]),
            "not_looked_at": [*left_out, *value["not_looked_at"]],
            "windows": {"count": self.windows + 1, "let_go": self.calls},
        }
        more = [f"{self.uncounted:,} more findings were counted and not kept."] if self.uncounted else []
        return with_reasons(whole, [*self.notes, *more])

    def to_json(self) -> dict[str, Any]:
        """All of it as a JSON value, for the process that reports of this one."""
        return {
            **{name: getattr(self, name) for name in _COUNTS},
            "notes": self.notes,
            "compared": self._compared,
            "found": {key: asdict(one) for key, one in self._found.items()},
            "left_out": {key: asdict(one) for key, one in self._left_out.items()},
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """What `to_json` gave.

        Raises:
            KeyError, TypeError: if it is something else.
        """
        found = cls()
        for name in _COUNTS:
            setattr(found, name, int(value[name]))
        found._compared = value["compared"]
        found.notes = [str(note) for note in value["notes"]]
        found._found = {key: _Told(**one) for key, one in value["found"].items()}
        found._left_out = {key: _LeftOut(**one) for key, one in value["left_out"].items()}
        return found


def _key(finding: Finding) -> str:
    """What tells two findings apart, in whichever window and process."""
    return repr((finding.severity, *finding.lines))


def _gravity(diagnosis: dict[str, Any]) -> int:
    return ("error", "warning", "info").index(diagnosis["severity"])


def _windows(count: int) -> str:
    return f"{count:,} window{'' if count == 1 else 's'}"

"""Faults in the style of training code, each in a file of its own: the change that is shown is right, and mends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from inplace.checks.finding import Finding
from inplace.facts.lines import lines_of
from inplace.fixes.editing import applied
from tests.recording import Recorded, record_text

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.py"))


def loud(recorded: Recorded) -> list[Finding]:
    """The findings that are no information."""
    return [one for one in recorded.report.findings if one.severity in {"error", "warning"}]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_change_is_what_one_would_write(path: Path) -> None:
    """Its new lines are those of the script's header; with it nothing raises, and nothing of its kind is found."""
    text = path.read_text()
    kind, new = (line.partition(": ")[2] for line in text.splitlines()[:2])
    finding = loud(record_text(text))[0]
    assert finding.kind == kind
    assert finding.rewrite is not None
    assert all(part.removeprefix("(moved) ") in finding.rewrite.new for part in new.split(" | "))
    longer = len(lines_of(finding.rewrite.new)) - len(lines_of(finding.rewrite.old))
    assert longer <= len(new.split(" | "))  # and no more than these

    again = record_text(applied(text, finding.rewrite))

    assert again.error is None
    assert kind not in {one.kind for one in loud(again)}

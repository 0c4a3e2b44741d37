"""Tensors that the source keeps without a call: the line that kept, the one that wrote, and the one that reads back."""

from __future__ import annotations

import re
import sys
import types

import pytest

from inplace.checks.shared_reference import SharedReference
from tests.checks.kept import algorithms, collected, gradients, objects, records, training
from tests.recording import record_text

WARNED = {
    **collected.WARNED,
    **objects.WARNED,
    **training.WARNED,
    **records.WARNED,
    **algorithms.WARNED,
    **gradients.WARNED,
}
SOUND = {**collected.SOUND, **objects.SOUND, **training.SOUND, **records.SOUND, **algorithms.SOUND, **gradients.SOUND}
FORMS = ("plain", "in a function")


@pytest.fixture(autouse=True)
def _module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dataclasses look for the module of their class."""
    monkeypatch.setitem(sys.modules, "cell", types.ModuleType("cell"))


def formed(text: str, form: str) -> str:
    """A program as it stands, or with all but its imports in a function."""
    text = text.strip("\n")
    if form == "plain":
        return text
    head = [line for line in text.splitlines() if re.match("import |from ", line)]
    body = [line for line in text.splitlines() if line not in head]
    return "\n".join([*head, "def main():", *("    " + line if line else line for line in body), "main()"])


def marked(text: str, mark: str) -> set[int]:
    """The lines with a mark behind them."""
    return {number for number, line in enumerate(text.splitlines(), 1) if re.search(rf"# \w*{mark}\w*$", line)}


def test_marks_are_found() -> None:
    """A mark may stand with others."""
    assert marked("a  # K\nb  # WR\nc", "R") == {2}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", WARNED)
def test_the_three_lines_are_named(name: str, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One warning names the line that kept, one that wrote, and one that reads; nothing else is alarmed."""
    text = formed(WARNED[name], form)

    loud = [one for one in record_text(text).report.findings if one.severity != "info"]

    assert {type(one) for one in loud} == {SharedReference}
    lines = [{place.position.line for place in one.culprits} for one in loud]
    reads = [{one.victim.place.position.line} if one.victim and one.victim.place else set() for one in loud]
    three = [marked(text, mark) for mark in "KWR"]
    assert [
        number
        for number, written in enumerate(lines)
        if written & three[0] and written & three[1] and reads[number] & three[2]
    ]
    capsys.readouterr()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SOUND)
def test_sound_code_is_quiet(name: str, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No alarm where a copy is kept, or a fresh tensor, or what is kept was not written since."""
    found = record_text(formed(SOUND[name], form)).report.findings

    assert [(one.kind, one.culprits) for one in found if one.severity != "info"] == []
    capsys.readouterr()

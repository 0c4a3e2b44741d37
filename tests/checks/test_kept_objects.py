"""Tensors that the source keeps without a call: the line that kept, the one that wrote, and the one that reads back."""

from __future__ import annotations

import sys
import types

import pytest

from inplace.checks.shared_reference import SharedReference
from tests.checks.forms import FORMS, alarms, formed, marked
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


@pytest.fixture(autouse=True)
def _module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dataclasses look for the module of their class."""
    monkeypatch.setitem(sys.modules, "cell", types.ModuleType("cell"))


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
    assert alarms(formed(SOUND[name], form)) == []
    capsys.readouterr()

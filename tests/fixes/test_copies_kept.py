"""Where a tensor was kept by reference, the change that is shown runs, and nothing is told of it any more."""

from __future__ import annotations

import sys
import types

import pytest

from inplace.checks.shared_reference import SharedReference
from tests.checks.kept import algorithms, collected, objects, records, training
from tests.recording import record_text

PROGRAMS = {**collected.WARNED, **objects.WARNED, **training.WARNED, **records.WARNED, **algorithms.WARNED}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_change_that_is_shown_cures(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No copy is asked of a number, a dictionary or a module, and an array is copied by `copy`."""
    monkeypatch.setitem(sys.modules, "cell", types.ModuleType("cell"))
    text = PROGRAMS[name].strip("\n") + "\n"
    found = [one for one in record_text(text).report.of_type(SharedReference) if one.severity == "warning"]

    for one in found:
        if one.rewrite is not None:
            changed = record_text(text.replace(one.rewrite.old, one.rewrite.new, 1))
            assert changed.error is None, one.rewrite
            assert [other for other in changed.report.findings if other.severity != "info"] == [], one.rewrite
    capsys.readouterr()

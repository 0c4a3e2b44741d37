"""Names that were given to another tensor where the tensor itself was to change: loop variables, and parameters."""

from __future__ import annotations

import pytest

from inplace.checks.lost_write import LostWrite
from inplace.fixes.candidate import Look
from inplace.fixes.proposals import proposals
from tests.checks.forms import FORMS, alarms, formed, marked
from tests.checks.rebound import LOST, SOUND
from tests.recording import record_text


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", LOST)
def test_the_line_is_named(name: str, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One warning for each line that is marked with `# L`, and nothing else."""
    text = formed(LOST[name], form)

    loud = [one for one in record_text(text).report.findings if one.severity != "info"]

    assert {type(one) for one in loud} == {LostWrite}
    assert {place.position.line for one in loud for place in one.culprits[:1]} == marked(text, "L")
    capsys.readouterr()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SOUND)
def test_sound_code_is_quiet(name: str, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where somebody reads the new tensor, measures the loop, or nobody has the old one."""
    assert alarms(formed(SOUND[name], form)) == []
    capsys.readouterr()


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("for w in ws:\n    w = w - 0.1 * w\n", "w -= 0.1 * w"),
        ("for w in ws:\n    w = w.clamp(0, 1)\n", "w.clamp_(0, 1)"),
        ("for w in ws:\n    w = 0.9 * w\n", "w.copy_(0.9 * w)"),
        ("for w in ws:\n    w = w.sum() * 2\n", None),
        ("for w in ws:\n    w = w.detach()\n", None),
    ],
    ids=["operator", "method", "any", "shape", "detach"],
)
def test_the_tensor_itself_is_written(text: str, new: str | None) -> None:
    """In place where there is such a form, else by a copy; no change where shape or dtype would be another."""
    report = record_text(f"ws = [torch.ones(2), torch.zeros(2)]\n{text}print(ws)\n").report
    (lost,) = [one for one in report.findings if isinstance(one, LostWrite)]

    rewrites = [one.rewrite.new.strip() for one in proposals(Look(report.index), lost) if one.fits]
    assert rewrites == ([] if new is None else [new])

"""Right changes are proved, and right changes slightly broken are not: kind by kind, in many styles of code."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.judge.mutants import cuts, refused, training, writes
from tests.judge.unfenced import UnfencedJudge, reported, verdict

PROGRAMS = {**cuts.PROGRAMS, **writes.PROGRAMS, **refused.PROGRAMS, **training.PROGRAMS}


@pytest.mark.one_of(3)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PROGRAMS)
def test_mutants_are_refused(name: str, tmp_path: Path) -> None:
    """Whatever they silence; and the changes that they were made of are proved."""
    text, changes = PROGRAMS[name]
    path = tmp_path / "script.py"
    path.write_text(text)
    report = reported(path)
    finding = next(one for one in report.findings if one.severity != "info")
    assert name.startswith(finding.kind)
    judge = UnfencedJudge(path)
    try:
        said = {
            (sort, new): verdict(judge, report, finding, path, text.replace(old, new, 1))
            for sort, made in changes.items()
            for old, new in made
            if old in text or pytest.fail(old)
        }
    finally:
        judge.start.close()
    assert [new for (sort, new), proof in said.items() if proof.verified] == [
        new for sort, new in said if sort == "right"
    ], {new: proof.text for (_, new), proof in said.items()}


def test_every_kind_with_changes_has_mutants() -> None:
    """Three at least."""
    kinds = Counter[str]()
    for name, program in PROGRAMS.items():
        kinds[re.split(r"[,:]", name)[0]] += len(program.changes.get("wrong", ()))

    assert min(kinds.values()) >= 3

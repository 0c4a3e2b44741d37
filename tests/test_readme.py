"""The README keeps its word: the files it names exist, its examples run, and its numbers are those of the tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from inplace.checks.kinds import KINDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_named_files_exist() -> None:
    """Every file that a link, a picture or a command names is there, and the commands can be run."""
    links = [target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target]

    assert links
    assert [target for target in links if not (ROOT / target).exists()] == []
    assert all(os.access(ROOT / command, os.X_OK) for command in ("start", "test", ".ci/run"))


def test_python_examples_run(tmp_path: Path) -> None:
    """The Python blocks without magics run as they stand."""
    for block in (block for block in blocks("python") if "%" not in block):
        done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stderr


def test_every_kind_is_told() -> None:
    """The table of kinds, and the JSON contract, have every kind that a finding can have."""
    kinds = [kind.finding.kind for kind in KINDS]
    contract = (ROOT / "docs" / "json-contract.md").read_text()

    assert kinds
    assert [kind for kind in kinds if f"`{kind}`" not in README or f"`{kind}`" not in contract] == []


def test_numbers_are_true() -> None:
    """The number of cases in the README is that of the folder."""
    cases = list((ROOT / "tests" / "cases").glob("*.py"))
    bugs = [case for case in cases if not case.name.startswith("ok_")]

    assert f"{len(cases)} of our own ({len(bugs)} bugs" in README

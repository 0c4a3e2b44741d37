"""`inplace fix`, `inplace judge` and `inplace run --patch`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands import git, python, run_inplace, script

TEXT = "import torch\nx = torch.ones(3, requires_grad=True)\nh = torch.exp(x)\nh.add_(1)  # é\nh.sum().backward()\n"
MENDED = TEXT.replace("h.add_(1)", "h = h.add(1)")


def project(folder: Path) -> Path:
    """A script in a project of its own."""
    git(folder, "init", "-q", ".")
    return script(folder, TEXT)


def test_a_patch_is_written_that_git_takes(tmp_path: Path) -> None:
    """Named as seen from where the command was given."""
    path = project(tmp_path)

    run_inplace("run", "--quiet", "--patch", "fix.diff", path.name, folder=tmp_path)
    git(tmp_path, "apply", "fix.diff")

    assert path.read_text() == MENDED


def test_a_fix_is_written_only_where_it_is_asked_for(tmp_path: Path) -> None:
    """The diff is shown all the same; where nobody can be asked nothing is written."""
    path = project(tmp_path)

    shown = run_inplace("fix", path.name, folder=tmp_path)
    after = path.read_text()
    written = run_inplace("fix", "--write", path.name, folder=tmp_path)
    again = run_inplace("fix", path.name, folder=tmp_path)

    assert "+h = h.add(1)  # é" in shown.stdout
    assert (shown.returncode, after) == (1, TEXT)
    assert "nothing was written" in shown.stderr
    assert (written.returncode, path.read_text()) == (0, MENDED)
    assert (again.returncode, again.stdout) == (0, "")


def test_a_file_outside_the_project_is_left_alone(tmp_path: Path) -> None:
    """Nothing is written then, though the diff is shown."""
    (tmp_path / "mine").mkdir()
    helper = tmp_path / "helper.py"
    helper.write_text("def scale(t):\n    t.mul_(2)\n    return t\n")
    mine = project(tmp_path / "mine")
    mine.write_text(
        "import sys\nsys.path.append('..')\nimport torch\nfrom helper import scale\n"
        "h = torch.exp(torch.ones(3, requires_grad=True))\nh = scale(h)\nh.sum().backward()\n"
    )

    ours = run_inplace("fix", "--write", mine.name, folder=tmp_path / "mine")

    assert ours.returncode == 1
    assert "does not belong to the project" in ours.stderr
    assert "t.mul_(2)" in helper.read_text()


JUDGED: dict[str, tuple[str, str, int]] = {
    "right": ("h = h + 1  # é", "proved", 0),
    "another factor": ("h = h + 2  # é", "refused", 1),
    "no write": ("h.add(1)  # é", "refused", 1),
}


@pytest.mark.one_of(3)
@pytest.mark.parametrize("name", JUDGED)
def test_a_change_from_outside_is_judged(name: str, tmp_path: Path) -> None:
    """JSON in, JSON out; the script's file stays as it is."""
    new, verdict, status = JUDGED[name]
    path = project(tmp_path)
    patch = tmp_path / "patch.json"
    patch.write_text(json.dumps({"file": path.name, "line": 4, "old": "h.add_(1)  # é", "new": new}))

    ours = run_inplace("judge", "--patch", patch.name, "--json", "-", path.name, folder=tmp_path)

    value: dict[str, Any] = json.loads(ours.stdout)
    assert (value["verdict"], ours.returncode) == (verdict, status)
    assert value["findings"][0]["kind"] == "saved-tensor-modified"
    assert value["findings"][0]["places"][0] == {"file": str(path), "line": 4}
    assert path.read_text() == TEXT


def test_what_is_no_patch_is_said(tmp_path: Path) -> None:
    """In one sentence, with the status of an unusable command line."""
    path = project(tmp_path)

    ours = python("-m", "inplace", "judge", "--patch", path.name, path.name, folder=tmp_path)

    assert ours.returncode == 2
    assert "can't be used as a patch" in ours.stderr

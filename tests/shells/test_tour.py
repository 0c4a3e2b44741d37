"""`inplace tour` copies the tutorials, never over a file that is there, and opens the first one in JupyterLab."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from inplace.shells.terminal import cli
from inplace.shells.terminal.tour import copy, notebooks, title, without_answers

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
STAND_IN = """\
import json, os, sys
print(json.dumps({"arguments": sys.argv[1:], "folder": os.getcwd()}))
sys.exit(7)
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in; in place of JupyterLab stands a module that prints how it was called."""
    (tmp_path / "stand_in").mkdir()
    (tmp_path / "stand_in" / "jupyterlab.py").write_text(STAND_IN)
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stand_in"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_the_first_notebook_is_opened(lab: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """JupyterLab runs in the folder with the copies, with the first notebook; its exit status is ours."""
    status = cli.main(["tour"])

    said, _, called = capfd.readouterr().out.partition("\n")
    assert status == 7
    assert said == f"{len(NAMES)} notebooks copied to inplace-tour"
    folder = str(lab / "inplace-tour")
    assert json.loads(called) == {"arguments": ["01-start-here.ipynb"], "folder": folder}


def test_without_a_browser(lab: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`--no-browser` is handed on, and a folder of the user's is used."""
    cli.main(["tour", "--no-browser", "mine"])

    called = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert called == {"arguments": ["01-start-here.ipynb", "--no-browser"], "folder": str(lab / "mine")}


def test_root_is_let_in(lab: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container one is root, whom JupyterLab refuses unless told otherwise."""
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)

    cli.main(["tour"])

    assert json.loads(capfd.readouterr().out.splitlines()[-1])["arguments"] == ["01-start-here.ipynb", "--allow-root"]


def test_copies_are_trusted(lab: Path) -> None:
    """JupyterLab shows the pictures in our notebooks from the start; one that the user has changed is not signed."""
    from nbformat import read
    from nbformat.sign import NotebookNotary

    (lab / "mine").mkdir()
    changed = (ROOT / "notebooks" / NAMES[1]).read_text().replace("See", "Saw").replace("in place", "in its place")
    (lab / "mine" / NAMES[1]).write_text(changed)

    cli.main(["tour", "mine"])

    with NotebookNotary(data_dir=str(lab.parent / "data")) as notary:
        trusted = [notary.check_signature(read(lab / "mine" / name, as_version=4)) for name in NAMES]
    assert trusted == [name != NAMES[1] for name in NAMES]


def test_changed_copies_stay(tmp_path: Path) -> None:
    """A second tour writes what is missing, leaves what is there, and says which files are not ours any more."""
    first = copy(tmp_path / "new" / "folder")
    mine, gone = tmp_path / "new" / "folder" / NAMES[0], tmp_path / "new" / "folder" / NAMES[1]
    mine.write_text("mine")
    gone.unlink()

    second = copy(tmp_path / "new" / "folder")

    assert list(first.written) == [*NAMES, "capstone.py"]
    assert (second.written, second.kept) == ((NAMES[1],), (NAMES[0],))
    assert list(second.same) == [*NAMES[2:], "capstone.py"]
    assert mine.read_text() == "mine"
    assert gone.read_bytes() == without_answers((ROOT / "notebooks" / NAMES[1]).read_bytes())


def test_changed_copies_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--copy-only` opens nothing, and says what it kept."""
    (tmp_path / NAMES[0]).write_text("mine")

    status = cli.main(["tour", "--copy-only", str(tmp_path)])

    assert status == 0
    assert capsys.readouterr().out == (
        f"{len(NAMES) - 1} notebooks copied to {tmp_path}\n"
        f"kept, because they differ from ours: {NAMES[0]} (remove one to get ours)\n"
    )


def test_the_list_has_titles(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--list` prints a line for each notebook, in order, and writes nothing."""
    monkeypatch.chdir(tmp_path)

    status = cli.main(["tour", "--list"])

    lines = capsys.readouterr().out.splitlines()
    assert status == 0
    assert [line.split()[0] for line in lines] == NAMES
    assert lines[0].endswith("  See what a line of PyTorch overwrites")
    assert all(title(path) in line for path, line in zip(notebooks(), lines, strict=True))
    assert list(tmp_path.iterdir()) == []


def test_without_jupyterlab(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where JupyterLab is missing, one sentence has the command that installs it, and nothing is copied."""
    monkeypatch.setitem(sys.modules, "jupyterlab", None)

    status = cli.main(["tour", str(tmp_path / "new")])

    assert status == 2
    assert capsys.readouterr().err == (
        "inplace: JupyterLab is not installed for this Python: run python -m pip install 'torch-inplace[notebook]', "
        "then inplace tour again.\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that can't be had is told in one sentence."""
    (tmp_path / "file").write_text("mine")

    status = cli.main(["tour", "--copy-only", str(tmp_path / "file")])

    assert status == 2
    assert capsys.readouterr().err == (
        f"inplace: the notebooks can't be copied to {tmp_path / 'file'} (File exists): choose another folder.\n"
    )
    assert (tmp_path / "file").read_text() == "mine"


def test_a_wheel_has_the_notebooks(tmp_path: Path) -> None:
    """What is installed from a wheel needs no checkout beside it for a tour; to make one leaves the checkout as it is.

    What was compiled there stays, where it can't be compiled now.
    """
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "dist")]
    (tmp_path / "Cython.py").write_text("raise ImportError('there is no Cython')\n")
    there = sorted((ROOT / "src").rglob("*.so"))
    alone = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, env=alone)
    assert sorted((ROOT / "src").rglob("*.so")) == there
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")

    listed = subprocess.run(
        [sys.executable, "-m", "inplace", "tour", "--copy-only", "copies"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        check=True,
    )

    assert listed.stdout == f"{len(NAMES)} notebooks copied to copies\n"
    held = sorted(path.name for path in (tmp_path / "installed" / "inplace" / "notebooks").iterdir())
    assert held == [*NAMES, "capstone.py"]
    assert sorted(path.name for path in (tmp_path / "copies").iterdir()) == [*NAMES, "capstone.py"]


def test_a_checkout_can_be_installed_in_place(tmp_path: Path) -> None:
    """Whatever lies among the notebooks, Python is led to `src`, as both commands of the README need."""
    build = "import sys; from hatchling.build import build_editable; build_editable(sys.argv[1])"
    pure = {**os.environ, "INPLACE_PURE": "1"}  # what is compiled there would be put into the checkout under test
    subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=ROOT, check=True, capture_output=True, env=pure)

    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (led,) = [archive.read(name).decode().strip() for name in archive.namelist() if name.endswith(".pth")]
    assert Path(led) == ROOT / "src"


def cells(path: Path) -> list[dict[str, Any]]:
    """The cells of a notebook."""
    found: list[dict[str, Any]] = json.loads(path.read_text())["cells"]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_has_no_answers(name: str, tmp_path: Path) -> None:
    """Nothing was run in a copy, all code and all words are there, and each explanation below code can be folded."""
    copy(tmp_path)
    ours, theirs = cells(ROOT / "notebooks" / name), cells(tmp_path / name)

    assert all(not cell["outputs"] for cell in theirs if cell["cell_type"] == "code")
    assert [cell["source"] for cell in theirs if cell["cell_type"] == "code"] == [
        cell["source"] for cell in ours if cell["cell_type"] == "code"
    ]
    folds = 0
    for own, copied in zip(ours, theirs, strict=True):
        text = "".join(copied["source"])
        assert text.count("<details>") == text.count("</details>")
        words = re.sub(r"<[^>]*>|What happened", " ", text).split()
        assert words == re.sub(r"<[^>]*>|What happened", " ", "".join(own["source"])).split()
        folds += "What happened" in text
    assert folds >= 2 or name.startswith("19")


def test_what_is_folded_is_what_was_said_of_an_output() -> None:
    """Before the next heading all of it, and without one all but the paragraph that leads on."""
    kinds = [("code", "1"), ("markdown", "Because.\n\n## 2. Next\n\nPredict."), ("code", "2")]
    kinds += [("markdown", "So it is.\n\nNow this?"), ("code", "3"), ("markdown", "Alone."), ("markdown", "A.\n\nB.")]
    given = [{"cell_type": kind, "source": source, "outputs": [1], "execution_count": 4} for kind, source in kinds]

    made = json.loads(without_answers(json.dumps({"cells": given}).encode()))["cells"]

    fold = "<details><summary>What happened</summary>\n\n{}\n\n</details>\n\n{}"
    told = [cell["source"] for cell in made if cell["cell_type"] == "markdown"]
    assert told == [
        fold.format("Because.", "## 2. Next\n\nPredict."),
        fold.format("So it is.", "Now this?"),
        "Alone.",
        "A.\n\nB.",
    ]


def test_answers_are_copied_where_they_are_asked_for(tmp_path: Path) -> None:
    """`--answers` copies the notebooks byte for byte."""
    cli.main(["tour", "--copy-only", "--answers", str(tmp_path)])
    assert all((tmp_path / name).read_bytes() == (ROOT / "notebooks" / name).read_bytes() for name in NAMES)

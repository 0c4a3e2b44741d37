"""The committed notebooks are small, the same on every machine, and readable where no kernel runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from base64 import b64decode
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.jupyter.conftest import environment

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
CELL = """\
%%inplace
x = torch.randn(3, requires_grad=True)
h = torch.sigmoid(x)
h.relu_()
h.sum().backward()
"""


def outputs(path: Path) -> list[dict[str, Any]]:
    """The outputs of a notebook."""
    cells = json.loads(path.read_text())["cells"]
    return [output for cell in cells if cell["cell_type"] == "code" for output in cell["outputs"]]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_small_and_the_same_everywhere(path: Path) -> None:
    """Outputs carry no address of memory, no path of a machine and no id of a widget, and every cell was run."""
    text = path.read_text()
    notebook = json.loads(text)

    assert len(text) < 300_000
    assert re.findall(r"\b0x[0-9a-f]{6,}|/home/|/root/|/tmp/|widget-view", json.dumps(outputs(path))) == []
    assert "widgets" not in notebook["metadata"]
    assert all(cell.get("execution_count", 1) for cell in notebook["cells"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_every_picture_has_words(path: Path) -> None:
    """What a front end without pictures shows is the finding, or the curve, in words."""
    pictures = [output["data"] for output in outputs(path) if "image/svg+xml" in output.get("data", {})]

    assert pictures
    words = ["".join(data["text/plain"]) for data in pictures]
    assert all("calls, " in told or "call, " in told or " at a batch of " in told for told in words), words


def begins_with(report: str) -> str:
    """What the text of a report begins with: the kind of its first error or warning, a note, or nothing."""
    found = re.match(r"[✗!] ([\w-]+):", report)
    if found:
        return found[1]
    return "note" if re.search(r"\d notes?$", report.strip()) else "nothing"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_each_report_is_what_the_prose_beside_it_speaks_of(path: Path) -> None:
    """A report of "nothing wrong" stands where the text says that all is well, and a finding where it teaches that one.

    The texts say what each recorded cell is to find; a cell that says nothing of it, or finds something else, is told.
    """
    others = {}
    for cell in json.loads(path.read_text())["cells"]:
        shown = [output.get("data", {}) for output in cell.get("outputs", [])]
        reports = ["".join(data["text/plain"]) for data in shown if "image/svg+xml" in data]
        found = [begins_with(report) for report in reports if " at a batch of " not in report]
        if found != [one for one in [cell["metadata"].get("finds")] if one]:
            others["".join(cell["source"])] = found
    assert others == {}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_prose_denies_no_report(path: Path) -> None:
    """Where the prose below a cell says that it raised, it did; where it says that nothing is wrong, nothing is."""
    cells = json.loads(path.read_text())["cells"]
    for cell, after in pairwise(cells):
        finds, told = cell["metadata"].get("finds"), "".join(after["source"])
        if finds is None or after["cell_type"] != "markdown":
            continue
        raised = any(output["output_type"] == "error" for output in cell["outputs"])
        assert not (told.startswith(("It raises", "It does.")) and not raised), told
        assert not (told.startswith(("It doesn't", "No error", "It runs", "Nothing is:")) and raised), told
        if finds in {"nothing", "note"}:
            assert not raised, told


def test_nbconvert_shows_the_finding(tmp_path: Path) -> None:
    """A notebook that nbconvert runs and turns into HTML has the picture of the finding in the page itself."""
    pytest.importorskip("nbconvert")
    from nbformat import write
    from nbformat.v4 import new_code_cell, new_notebook

    cells = [new_code_cell("import torch\n%load_ext inplace"), new_code_cell(CELL)]
    write(new_notebook(cells=cells), tmp_path / "cell.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--execute", "--allow-errors", "--to", "html", "cell.ipynb"]
    subprocess.run(
        command, cwd=tmp_path, env={**environment(tmp_path), "INPLACE_STATIC": "1"}, capture_output=True, check=True
    )

    page = (tmp_path / "cell.html").read_text()
    pictures = [b64decode(found).decode() for found in re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", page)]
    assert any("h.relu_()" in picture and "saved" in picture for picture in pictures)


def test_a_terminal_shows_the_finding(tmp_path: Path) -> None:
    """IPython in a terminal prints the finding as text below the traceback, without markup."""
    typed = "import torch\n%load_ext inplace\n" + CELL + "\n\nexit()\n"
    settings = {"IPYTHONDIR": str(tmp_path), "NO_COLOR": "1", "TERM": "dumb"}
    command = [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor"]

    done = subprocess.run(
        command, input=typed, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, **settings}, check=True
    )

    said = done.stdout
    assert re.search(r"line 4: h.relu_\(\) changed h after (In\[3\], )?line 3 saved it", said)
    assert said.index("RuntimeError") < said.index("line 4: h.relu_()")
    assert "<svg" not in said
    assert "inplace/" not in said

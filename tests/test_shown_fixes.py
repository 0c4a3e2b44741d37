"""Every change that a tutorial's report shows mends what it is shown for: it is made, and the cell is run again."""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import inplace
from inplace.checks.finding import Finding
from inplace.fixes.editing import applied

FOLDER = Path(__file__).parents[1] / "notebooks"
NAMES = ("01", "04", "05", "06", "07", "13", "14", "15", "16", "17")
"""Those whose cells need neither other processes, a folder, nor the text of their own cells; 10 proves its changes."""


def cells(name: str) -> list[dict[str, Any]]:
    """The code cells of a notebook."""
    (path,) = FOLDER.glob(f"{name}-*.ipynb")
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def run(code: str, names: dict[str, Any], file: Path) -> tuple[str, list[Finding]]:
    """Run a cell, recorded: the type of its error, and what is found."""
    file.write_text(code)
    error = ""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        with contextlib.suppress(Exception), inplace.record() as recording:
            try:
                exec(compile(code, str(file), "exec"), names)
            except Exception as fault:
                error = type(fault).__name__
                raise
        return error, [each for each in recording.report.findings if each.severity in {"error", "warning"}]


@pytest.mark.parametrize("name", NAMES)
def test_a_shown_change_mends(name: str, tmp_path: Path) -> None:
    """With the change made, the cell doesn't raise and that kind is no longer found in it."""
    names: dict[str, Any] = {"__name__": "__main__"}
    codes: dict[str, str] = {}
    torch.manual_seed(0)
    for number, cell in enumerate(cells(name)):
        code = "\n".join("" if line.startswith("%") else line for line in "".join(cell["source"]).splitlines()) + "\n"
        file, before = tmp_path / f"cell{number}.py", dict(names)
        codes[str(file)] = code
        _, found = run(code, names, file)
        for finding in found if "finds" in cell["metadata"] else []:
            rewrite = finding.rewrite
            if rewrite is None or rewrite.file not in codes:
                continue
            mended = applied(codes[rewrite.file], rewrite)
            again = dict(before)
            if rewrite.file != str(file):  # what an earlier cell defines is what is changed
                run(mended, again, tmp_path / f"earlier{number}.py")
                mended = code
            raises, still = run(mended, again, tmp_path / f"mended{number}.py")
            assert not raises or len(found) > 1, f"{mended}\n{raises}"
            assert finding.kind not in {each.kind for each in still}, rewrite.new

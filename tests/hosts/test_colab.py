"""Colab's stock stack (IPython 7.34, ipywidgets 7.7, notebook 6.5), in the environment whose Python is COLAB_PYTHON.

python3 -m venv colab
colab/bin/pip install ipython==7.34.0 ipywidgets==7.7.1 notebook==6.5.7 'ipykernel<6.18' torch==2.13.0 .
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

PYTHON = os.environ.get("COLAB_PYTHON", "")
pytestmark = pytest.mark.skipif(not PYTHON, reason="COLAB_PYTHON names no Python with Colab's stack")

RUN = """
import json, nbformat
from nbclient import NotebookClient
notebook = nbformat.v4.new_notebook()
notebook.cells = [nbformat.v4.new_code_cell(text) for text in json.loads(input())]
NotebookClient(notebook, allow_errors=True, kernel_name="python3").execute()
print(json.dumps([[dict(one) for one in cell.outputs] for cell in notebook.cells]))
"""


def _run(*cells: str) -> list[list[Any]]:
    """The outputs of some cells."""
    environment = {name: value for name, value in os.environ.items() if name != "INPLACE_STATIC"}
    done = subprocess.run(
        [PYTHON, "-c", RUN], input=json.dumps(cells), capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[list[Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_stack_is_colabs() -> None:
    """To install us has changed none of its pins."""
    asked = "from importlib.metadata import version as v; print(v('ipython'), v('ipywidgets'), v('notebook'))"

    told = subprocess.run([PYTHON, "-c", asked], capture_output=True, text=True, check=True).stdout

    assert told.split() == ["7.34.0", "7.7.1", "6.5.7"]


def test_cells_are_recorded_as_one_program() -> None:
    """A finding names the lines of an earlier cell, the error is the user's own, and the widget is there."""
    *_, last = _run(
        "%load_ext inplace\nimport torch",
        "%%inplace\nx = torch.ones(3, requires_grad=True)\nh = torch.sigmoid(x)",
        "%%inplace\nh.relu_()\nh.sum().backward()",
    )

    assert [one["ename"] for one in last if one["output_type"] == "error"] == ["RuntimeError"]
    live, still = (one["data"] for one in last if "data" in one)
    assert "application/vnd.jupyter.widget-view+json" in live
    assert live["text/plain"] == "inplace: 3 calls, 1 in place: 1 error"
    assert "changed h after In[2], line 3 saved it" in " ".join(still["text/plain"].split())
    assert "image/svg+xml" in still


def test_other_magics_follow() -> None:
    """`%%time` below, and a cell that raises."""
    timed, wrong = _run(
        "%load_ext inplace\nimport torch", "%%inplace\n%%time\ntorch.ones(3).add_(1)", "%%inplace\n1 / 0"
    )[1:]

    assert any("tensor([2., 2., 2.])" in one.get("data", {}).get("text/plain", "") for one in timed)
    assert [one.get("ename") for one in wrong] == ["ZeroDivisionError"]

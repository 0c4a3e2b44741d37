"""`inplace run NOTEBOOK`: cells run as Jupyter runs them with nobody looking, and findings are named by their cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.commands import run_inplace
from tests.test_cli import SCHEMA

STALE = (
    "import torch\nx = torch.ones(3, requires_grad=True)",
    "h = torch.sigmoid(x)\nprint('hello')\nh.sum()",
    "h.relu_()",
    "h.sum().backward()",
    "print('never')",
)
SOUND = (
    "import torch\nx = torch.ones(3, requires_grad=True)",
    "h = torch.sigmoid(x)",
    "g = h.relu()",
    "g.sum().backward()\nx.grad",
)


def notebook(folder: Path, *cells: str | dict[str, Any], name: str = "work.ipynb", **metadata: Any) -> Path:
    """Write a notebook with code cells, each as its text, or as what it has beside the least."""
    least = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": ""}
    whole = [{**least, **({"source": one} if isinstance(one, str) else one)} for one in cells]
    value = {"cells": whole, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    path = folder / name
    path.write_text(json.dumps(value))
    return path


def run(*arguments: object, folder: Path | None = None) -> tuple[int, str, str]:
    """The exit status, the standard output, and the standard error on one line."""
    done = run_inplace("run", *arguments, folder=folder)
    return done.returncode, done.stdout, " ".join(done.stderr.split())


def test_findings_are_named_by_their_cells(tmp_path: Path) -> None:
    """The notebook stops at the cell that raises; text, JSON and page name the cells."""
    path = notebook(tmp_path, *STALE)

    status, out, told = run("--json", tmp_path / "out.json", "--html", tmp_path / "out.html", path)

    assert status == 1
    assert "hello\n" in out
    assert "never" not in out
    assert "tensor(2.1932" in out
    assert "Cell In[4], line 1" in told
    assert "shells" not in told.partition("saved-tensor-modified")[0]  # no frame of ours
    assert "saved-tensor-modified: In[3], line 1: h.relu_() changed h after In[2], line 1 saved it" in told
    found = json.loads((tmp_path / "out.json").read_text())
    jsonschema.validate(found, SCHEMA)
    assert found["error"]["type"] == "RuntimeError"
    (diagnosis,) = [one for one in found["diagnoses"] if one["severity"] == "error"]
    assert [(one["cell"], one["line"], one["code"]) for one in diagnosis["culprits"]] == [("In[3]", 1, "h.relu_()")]
    assert diagnosis["victim"]["cell"] == "In[2]"
    assert "In[3]" in (tmp_path / "out.html").read_text()


def test_sound_twin(tmp_path: Path) -> None:
    """Nothing is found, nothing raises."""
    status, out, told = run(notebook(tmp_path, *SOUND))

    assert status == 0
    assert "Out[4]: tensor(" in out
    assert "✗" not in told
    assert "!" not in told


def test_cells_are_numbered_as_jupyter_numbers_them(tmp_path: Path) -> None:
    """Text and empty cells have no number, nor have those that are tagged to be left out; a text may be a list."""
    skipped = {"source": "1 / 0", "metadata": {"tags": ["skip-execution"]}}
    text = {"cell_type": "markdown", "source": "# Title"}
    cells = [text, "", STALE[0], skipped, {"source": ["h = torch.sigmoid(x)\n", "h.relu_()"]}, "h.sum().backward()"]

    _, _, told = run(notebook(tmp_path, *cells))

    assert "In[2], line 2: h.relu_() changed h after In[2], line 1 saved it" in told
    assert "Cell In[3], line 1" in told


def test_cell_that_may_raise(tmp_path: Path) -> None:
    """A cell tagged so is gone past, as is every cell where the notebook says so."""
    cells: list[Any] = [STALE[0], "1 / 0", "print('after')"]
    assert run(notebook(tmp_path, *cells))[:2] == (1, "")

    tagged = [cells[0], {"source": cells[1], "metadata": {"tags": ["raises-exception"]}}, cells[2]]
    assert run(notebook(tmp_path, *tagged))[:2] == (0, "after\n")
    assert run(notebook(tmp_path, *cells, execution={"allow_errors": True}))[:2] == (0, "after\n")


def test_it_runs_where_it_lies(tmp_path: Path) -> None:
    """The folder is the notebook's own, and so are its modules; files that were named are named from ours."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "helper.py").write_text("def damage(t):\n    t.relu_()\n")
    cells = [STALE[0] + "\nimport helper, os", "h = torch.sigmoid(x)\nhelper.damage(h)", "print(os.path.basename('.'))"]
    notebook(tmp_path / "notes", *cells, "h.sum().backward()")

    _, _, told = run("--json", "out.json", "notes/work.ipynb", folder=tmp_path)

    assert "helper.py, line 2: t.relu_()" in told
    assert "2 │ helper.damage(h)" in told
    assert (tmp_path / "out.json").exists()


def test_magics_are_those_of_ipython(tmp_path: Path) -> None:
    """`%%time`, `%%capture`, `!`, `await` and our own magics; what is below `%%time` has its lines and its cell."""
    status, out, told = run(
        notebook(
            tmp_path,
            "%load_ext inplace\n%matplotlib --list\n" + STALE[0],
            "%%capture kept\nh = torch.sigmoid(x)\nprint('kept')",
            "!echo shell\nimport asyncio\nawait asyncio.sleep(0)",
            "%%inplace\n%%time\ny = 1\nh.relu_()",
            "%%inplace --quiet\nprint(kept.stdout)",
            "%%time\nh.sum().backward()",
        )
    )

    assert status == 1
    assert "shell\n" in out
    assert "kept" in out
    assert "going on already" not in out
    assert "In[4], line 4: h.relu_() changed h after In[2], line 2" in told
    assert "Cell In[6], line 2" in told


def test_last_cells_of_many_are_shown_on_the_page(tmp_path: Path) -> None:
    """The page has room for some cells: those of findings come first."""
    many = [f"y{n} = torch.ones(2) + {n}" for n in range(9)]
    path = notebook(tmp_path, STALE[0], *many, "h = torch.sigmoid(x)", "h.relu_()", "h.sum().backward()")

    run("--html", tmp_path / "out.html", path)

    page = (tmp_path / "out.html").read_text()
    assert "In[12]" in page
    assert '"label": "In[12]"' in page or '"label":"In[12]"' in page


def test_exit_status_is_the_notebooks_own(tmp_path: Path) -> None:
    """`sys.exit` ends it with its status, without a traceback."""
    status, out, _ = run(notebook(tmp_path, "import sys\nprint('a')", "sys.exit(3)", "print('b')"))

    assert (status, out) == (3, "a\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "it is no notebook of Jupyter's format 4"),
        ('{"worksheets": []}', "it is no notebook of Jupyter's format 4"),
        ('{"cells": [], "metadata": {"kernelspec": {"language": "R"}}}', "it is a notebook in R"),
    ],
)
def test_file_that_is_none(text: str, words: str, tmp_path: Path) -> None:
    """One sentence, and nothing runs."""
    (tmp_path / "work.ipynb").write_text(text)

    done = run_inplace("run", "work.ipynb", folder=tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"inplace: work.ipynb can't be run: {words}.\n")


@pytest.mark.parametrize(("command", "who"), [("fix", "inplace fix"), ("run --verify", "--verify")])
def test_what_needs_a_script_is_said_at_once(command: str, who: str, tmp_path: Path) -> None:
    """A notebook is not replayed as a whole, nor written."""
    notebook(tmp_path, "print('ran')")

    done = run_inplace(*command.split(), "work.ipynb", folder=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"inplace: {who} needs a script in a file, and this is a notebook.\n"

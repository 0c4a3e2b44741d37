"""`inplace tour`: copies the tutorial notebooks to a folder and opens the first one in JupyterLab.

NOTE [ Without answers ]
The notebooks are kept as they were run. A copy to learn from has no outputs, so that what a cell does is not seen
before it is run, and what is said of an output is folded away until it is asked for.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from inplace.shells.terminal.complaint import UNUSABLE, complain

_PACKAGE = Path(__file__).resolve().parents[2]
_PLACES = (_PACKAGE / "notebooks", _PACKAGE.parents[1] / "notebooks")  # inside a wheel, and beside an editable source
_NO_NOTEBOOKS = "the tutorial notebooks are not part of this installation: install torch-inplace from its wheel."
_NO_JUPYTERLAB = (
    "JupyterLab is not installed for this Python: run python -m pip install 'torch-inplace[notebook]', "
    "then inplace tour again."
)


@dataclass(frozen=True, slots=True)
class Copies:
    """What came of the notebooks in a folder, by file name: new there, the same as ours, or changed and so kept."""

    written: tuple[str, ...]
    same: tuple[str, ...]
    kept: tuple[str, ...]


def notebooks() -> list[Path]:
    """The tutorial notebooks, in the order in which they are meant to be read; empty where they are missing."""
    return next((found for place in _PLACES if (found := sorted(place.glob("[0-9]*.ipynb")))), [])


def title(notebook: Path) -> str:
    """The first heading of a notebook."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "".join(cells[0]["source"]).partition("\n")[0].lstrip("# ")


def scripts() -> list[Path]:
    """What the notebooks work on, beside them."""
    return sorted(found[0].parent.glob("*.py")) if (found := notebooks()) else []


def without_answers(text: bytes) -> bytes:
    """A notebook without outputs, and with what is said of them folded (NOTE [ Without answers ])."""
    notebook = json.loads(text)
    before = None
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
        elif before == "code":
            cell["source"] = _folded("".join(cell["source"]))
        before = cell["cell_type"]
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def _folded(source: str) -> str:
    """A cell below code, with what comes before its next heading folded; of one without, all but the last paragraph."""
    told, heading, rest = source.partition("\n## ") if not source.startswith("## ") else ("", "", source)
    if not heading and told:
        paragraphs = re.split(r"\n{2,}", told)
        told, rest = "\n\n".join(paragraphs[:-1]), paragraphs[-1]
    elif heading:
        rest = f"## {rest}"
    if not told.strip() or "<details>" in told:
        return source
    return f"<details><summary>What happened</summary>\n\n{told.strip()}\n\n</details>\n\n{rest}"


def copy(folder: Path, *, answers: bool = False) -> Copies:
    """Copy the notebooks into a folder, which is made if need be. A file that is there already is never written.

    Args:
        folder: where to.
        answers: with the outputs and what is said of them.

    Raises:
        OSError: if the folder can't be made, or a notebook can't be read or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[str] = []
    same: list[str] = []
    kept: list[str] = []
    for notebook in [*notebooks(), *scripts()]:
        text = notebook.read_bytes()
        if notebook.suffix == ".ipynb" and not answers:
            text = without_answers(text)
        try:
            with (folder / notebook.name).open("xb") as new:
                new.write(text)
            written.append(notebook.name)
        except FileExistsError:
            there = same if (folder / notebook.name).read_bytes() == text else kept
            there.append(notebook.name)
    return Copies(tuple(written), tuple(same), tuple(kept))


def show_list() -> int:
    """Print the file name and the title of each notebook; gives the exit status."""
    found = notebooks()
    if not found:
        complain(_NO_NOTEBOOKS)
        return UNUSABLE
    width = max(len(notebook.name) for notebook in found)
    for notebook in found:
        print(f"{notebook.name:{width}}  {title(notebook)}")
    return 0


def tour(folder: Path, *, opened: bool = True, browser: bool = True, answers: bool = False) -> int:
    """Copy the notebooks to a folder and run JupyterLab there until it ends; gives the exit status.

    Args:
        folder: where the copies go, so that what is tried out changes no file of ours.
        opened: False to copy only.
        answers: with the outputs of the notebooks, and what is said of them in sight.
        browser: False to have JupyterLab print its address instead of opening a browser.
    """
    if not notebooks():
        complain(_NO_NOTEBOOKS)
        return UNUSABLE
    if opened and find_spec("jupyterlab") is None:
        complain(_NO_JUPYTERLAB)
        return UNUSABLE
    try:
        copies = copy(folder, answers=answers)
    except OSError as error:
        complain(f"the notebooks can't be copied to {folder} ({error.strerror}): choose another folder.")
        return UNUSABLE
    count = sum(name.endswith(".ipynb") for name in copies.written)
    print(f"{count} notebooks copied to {folder}", flush=True)
    if copies.kept:
        print(f"kept, because they differ from ours: {', '.join(copies.kept)} (remove one to get ours)", flush=True)
    if not opened:
        return 0
    _trust(folder, tuple(name for name in copies.written + copies.same if name.endswith(".ipynb")))
    return _open(folder, browser=browser)


def _trust(folder: Path, names: tuple[str, ...]) -> None:
    """Sign our own copies: JupyterLab shows no picture of a notebook that it has not seen run or signed."""
    if names:
        subprocess.run([sys.executable, "-m", "nbformat.sign", *names], cwd=folder, capture_output=True, check=False)


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _open(folder: Path, *, browser: bool) -> int:
    command = [sys.executable, "-m", "jupyterlab", notebooks()[0].name]
    if not browser:
        command.append("--no-browser")
    if _is_root():  # as in many containers; JupyterLab refuses it, and still listens to this machine only
        command.append("--allow-root")
    with subprocess.Popen(command, cwd=folder) as lab:
        while lab.poll() is None:
            with contextlib.suppress(KeyboardInterrupt):  # it has reached JupyterLab too, which asks whether to stop
                lab.wait()
        return lab.returncode

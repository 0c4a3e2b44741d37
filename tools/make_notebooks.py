"""Write the tutorial notebooks and run them: `python tools/make_notebooks.py [--check] [NAME ...]`.

Each text in `tools/tutorials` becomes the notebook of the same name; a NAME is the beginning of one (`03`). In a text a
line `---py` begins a code cell, `---raises` a code cell that is to raise, and `---md` a cell of prose. Behind the first
two, `finds KIND` says what the report below a recorded cell begins with, which the prose beside it speaks of: a kind of
finding, `note`, or `nothing`. `tests/test_notebooks.py` holds the reports to it.

They are run with INPLACE_STATIC=1, so that the committed pictures are still ones, which any viewer shows and nbval
compares. With `--check` nothing is written, and the exit status tells whether the committed notebooks are up to date.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
PICTURES = FOLDER.parent / "docs" / "img" / "tutorials"
TEXTS = Path(__file__).resolve().parent / "tutorials"
KEPT_METADATA = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def build(text: str) -> Any:
    """The notebook that a text stands for; `---py`, `---raises` and `---md` begin cells."""
    cells = []
    for position, part in enumerate(("md\n" + text.strip("\n")).split("\n---")):
        head, _, source = part.partition("\n")
        kind, _, finds = head.partition(" finds ")
        cell = nbformat.v4.new_markdown_cell(source) if kind == "md" else nbformat.v4.new_code_cell(source)
        cell.id = f"cell-{position:02}"
        if kind == "raises":
            cell.metadata["tags"] = ["raises-exception"]
        if finds:
            cell.metadata["finds"] = finds
        cells.append(cell)
    return nbformat.v4.new_notebook(cells=cells, metadata=KEPT_METADATA)


def run(notebook: Any) -> None:
    """Run a notebook in a kernel of its own, and drop what differs from run to run."""
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}).execute(
        env={**os.environ, "INPLACE_STATIC": "1"}
    )
    notebook.metadata = nbformat.from_dict(KEPT_METADATA)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                output.traceback = [_without_paths(line) for line in output.traceback]


def _joined(outputs: list[Any]) -> list[Any]:
    """The outputs with pieces of one stream that follow each other made one: where they part is a matter of time."""
    found: list[Any] = []
    for one in outputs:
        if found and one.output_type == found[-1].output_type == "stream" and one.name == found[-1].name:
            found[-1].text += one.text
        else:
            found.append(one)
    return found


def _without_paths(line: str) -> str:
    return line.replace(str(Path(sys.prefix)), "venv")


def keep_picture(notebook: Any, path: Path) -> None:
    """Write a notebook's first picture beside the README, which shows it: one with a finding, where there is one."""
    shown = [
        (output.data["text/plain"], output.data["image/svg+xml"])
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/svg+xml" in output.get("data", {})
    ]
    if shown:
        _, picture = next((one for one in shown if one[0].startswith("✗")), shown[0])
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(picture), encoding="utf-8")


def main() -> int:
    """Write, or check, the notebooks."""
    wanted = tuple(word for word in sys.argv[1:] if word != "--check")
    stale = []
    for text in sorted(TEXTS.glob("*.md")):
        if wanted and not text.name.startswith(wanted):
            continue
        notebook = build(text.read_text(encoding="utf-8"))
        run(notebook)
        if "--check" not in sys.argv[1:]:
            keep_picture(notebook, PICTURES / f"{text.stem}.svg")
        path, written = FOLDER / f"{text.stem}.ipynb", nbformat.writes(notebook) + "\n"
        if "--check" not in sys.argv[1:]:
            path.write_text(written, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != written:
            stale.append(path.name)
    if stale:
        print(f"not up to date: {', '.join(stale)}; run python tools/make_notebooks.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

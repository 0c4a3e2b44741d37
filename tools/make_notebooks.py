"""Write the tutorial notebooks and run them: `python tools/make_notebooks.py [--check]`.

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
KEPT_METADATA = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}

START_HERE = """
# See what a line of PyTorch overwrites

Some PyTorch calls make a new tensor; others change one that is there already. Most of the time you need not care. Then
one day a loss goes wrong for no visible reason, or `backward()` stops with *one of the variables needed for gradient
computation has been modified by an inplace operation* and does not say which line did it.

This notebook takes five to ten minutes. You need a little Python and have called `loss.backward()` before.
---py
import torch

%load_ext inplace
generator = torch.manual_seed(0)
---md
## 1. A name is not a tensor

What does this cell print? Decide before you read on.
---py
prices = torch.tensor([1.0, 2.0, 3.0])
backup = prices
prices.add_(10)
print(backup)
---md
`backup = prices` copied nothing. It gave the one tensor a second name, so a write through one shows under the other.
Put `%%inplace` above the cell and look at it instead of guessing. The cell runs as before; the picture comes below it.
---py
%%inplace
a = torch.tensor([1.0, 2.0, 3.0])
b = a
c = a[1:]
a.add_(10)
---md
Read the picture from left to right: **names** stand for **tensors**, and tensors look into a **storage**, which is a
row of bytes.

- `a` and `b` are one tensor. Nothing tells them apart.
- `c` is another tensor, yet it owns no numbers: it is a *view*, and its bytes are the last eight of the same storage.
- There is a **version**. It began at 0, and `a.add_(10)` made it 1. PyTorch counts writes, and a view shares the count
  of the tensor that it looks into.
---py
print(c, c._version)
print(a.clone()._version)
---md
`c` has seen the write and the count. A clone has bytes of its own, and a count of its own that begins at 0.

## 2. Why the count matters

To go backward, PyTorch needs numbers from the way forward. It doesn't copy them: it keeps the tensor, and notes
the version that it had. `sigmoid` is such a function. Its slope is `h * (1 - h)`, so it keeps its **result** `h`.

Here somebody saves memory and lets `relu_` write into `h`.
---raises
%%inplace
x = torch.randn(3, requires_grad=True)
h = torch.sigmoid(x)
g = h.relu_()
g.sum().backward()
---md
PyTorch's own message ends the traceback. It tells of a sigmoid and of versions 1 and 0, but the line it points at is
`backward()`, which did nothing wrong. The report names the **culprit**, `h.relu_()`, and the **victim**, whose number
was overwritten.

## 3. The fix

Leave `h` alone and let `relu` make a tensor of its own: take the underscore away.
---py
%%inplace
x = torch.randn(3, requires_grad=True)
h = torch.sigmoid(x)
g = h.relu()
g.sum().backward()
---py
print(torch.allclose(x.grad, h * (1 - h)))
---md
The gradient is what the formula says.

## 4. Not every underscore is a fault

Now the same call after a linear layer. Will `backward()` raise? Think of what a linear layer has to keep: to find the
slope for its weight it needs its *input*, and to find the slope for its input it needs its *weight*.
---py
%%inplace
linear = torch.nn.Linear(3, 2)
batch = torch.randn(4, 3)
out = linear(batch)
act = out.relu_()
act.sum().backward()
---md
It doesn't raise. The layer kept its input and its weight, and has no use for its result; `relu_` itself keeps what it
has written. So nobody misses the numbers that were overwritten, and one tensor less was allocated. This is what
`nn.ReLU(inplace=True)` is for.

The rule: **a write in place is harmless when nobody reads the old numbers later**, neither you through another name
nor autograd through a saved tensor.

## 5. Predict, then check

One of these two lines makes `backward()` raise. Which one? Write your answer down, then run the next two cells.

    y = w.exp(); y.mul_(2)
    y = w.mul(3); y.mul_(2)
---raises
%%inplace
w = torch.ones(2, requires_grad=True)
y = w.exp()
y.mul_(2)
y.sum().backward()
---py
%%inplace
w = torch.ones(2, requires_grad=True)
y = w.mul(3)
y.mul_(2)
y.sum().backward()
---md
The slope of `exp` is `exp` itself, so it keeps its result, and `mul_` overwrote that. To go back through `mul(3)` only
the 3 is needed, and nobody wrote to it.

## Where to go from here

- `%inplace on` records every cell, `%inplace off` ends that, `%inplace why` shows the last recording again.
- `inplace.last` is the last recording as a Python object; `with inplace.record() as recording:` makes one anywhere.
- For a script: `python -m inplace run train.py`.
"""

NOTEBOOKS = {"01-start-here.ipynb": START_HERE}


def build(text: str) -> Any:
    """The notebook that a text stands for; `---py`, `---raises` and `---md` begin cells."""
    cells = []
    for position, part in enumerate(("md\n" + text.strip("\n")).split("\n---")):
        kind, _, source = part.partition("\n")
        cell = nbformat.v4.new_markdown_cell(source) if kind == "md" else nbformat.v4.new_code_cell(source)
        cell.id = f"cell-{position:02}"
        if kind == "raises":
            cell.metadata["tags"] = ["raises-exception"]
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
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                output.traceback = [_without_paths(line) for line in output.traceback]


def _without_paths(line: str) -> str:
    return line.replace(str(Path(sys.prefix)), "venv")


def main() -> int:
    """Write, or check, every notebook."""
    stale = []
    for name, text in NOTEBOOKS.items():
        notebook = build(text)
        run(notebook)
        path, written = FOLDER / name, nbformat.writes(notebook) + "\n"
        if "--check" not in sys.argv[1:]:
            path.write_text(written, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != written:
            stale.append(name)
    if stale:
        print(f"not up to date: {', '.join(stale)}; run python tools/make_notebooks.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

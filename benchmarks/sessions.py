"""Whether a notebook may stay recorded for a day: `python benchmarks/sessions.py [RUNS]`.

A shell with `%inplace on` runs a cell with five training steps again and again; printed are the seconds of 100 runs,
the resident memory in MB, and how much is kept of earlier runs. The exit status is 1 where memory or what is kept grows
after the first tenth.
"""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell

BEGIN = """
import torch
from torch import nn
x, y = torch.randn(32, 16), torch.randn(32, 1)
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters())
history = []
"""
TRAIN = """
for _ in range(5):
    optimizer.zero_grad()
    loss = (model(x) - y).square().mean()
    loss.backward()
    optimizer.step()
history.append(loss.item())
"""
MOST_MB = 40  # by which memory may grow: IPython itself keeps the text of each cell
PARTS = ("calls", "states", "tensors", "names", "nodes", "walks", "acts", "runs", "sources")


def resident() -> float:
    """The memory of this process that is resident, in MB."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096 / 2**20


def kept(extensions: dict[Any, Any]) -> list[int]:
    """How much is kept of earlier runs, by part of a trace."""
    (extension,) = extensions.values()
    trace = extension._session._carried.trace
    return [len(getattr(trace, part)) for part in PARTS]


def main() -> int:
    """Run the cell so often, and say how memory goes."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    HistoryManager.enabled = False
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "inplace")
    shell.run_line_magic("inplace", "on")
    from inplace.shells.notebook.extension import _EXTENSIONS

    rows: list[tuple[float, list[int]]] = []
    began = perf_counter()
    print(f"{'runs':>6} {'s/100':>7} {'MB':>7}  {'  '.join(PARTS)}")
    with contextlib.redirect_stdout(io.StringIO()):
        shell.run_cell(BEGIN, store_history=True)
    for run in range(1, runs + 1):
        with contextlib.redirect_stdout(io.StringIO()):
            shell.run_cell(TRAIN, store_history=True)
        if run % max(1, runs // 10) == 0:
            rows.append((resident(), kept(_EXTENSIONS)))
            seconds, began = (perf_counter() - began) / max(1, runs // 10) * 100, perf_counter()
            print(f"{run:>6} {seconds:>7.1f} {rows[-1][0]:>7.0f}  {rows[-1][1]}", flush=True)
    flat = rows[-1][0] - rows[0][0] < MOST_MB and rows[-1][1] == rows[0][1]
    print("flat" if flat else "it grows")
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())

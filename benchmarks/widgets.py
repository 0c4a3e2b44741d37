"""How a notebook of many pictures does in a real JupyterLab: `python -m benchmarks.widgets [CELLS] [RUNS]`.

Runs a notebook of CELLS recorded cells (30) RUNS times (4) and prints after each the heap of the page in MB behind a
collection, how many elements it has, and how many widgets the kernel keeps; then how many frames a second a scroll
from its first cell to its last has, beside the same notebook without us. The exit status is 1 where the heap grows by
more than a tenth behind the second run. Needs playwright, and Chromium at /usr/bin/chromium or at the path in CHROMIUM.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.browsing import CHROMIUM, FRAMES, SCROLL
from tests.browser.conftest import Jupyter
from tests.browser.test_first_view_lab import CELL, COUNT, FIRST
from tests.jupyter.conftest import serving

_MORE = 1.1  # times the heap behind the second run that is too much at the end
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--js-flags=--expose-gc", "--enable-precise-memory-info"]
HEAP = (
    "() => { gc(); gc(); return [performance.memory.usedJSHeapSize / 2**20, document.querySelectorAll('*').length]; }"
)
CELLS = "window.jupyterapp.shell.currentWidget.content.model.cells"
DONE = f"""count => {CELLS}.get(count - 1).executionCount > 0
  && window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === "idle" """
Seen = tuple[float, int, str]
"""Heap in MB, elements, and what the last cell printed."""


def watched(jupyter: Jupyter, name: str, cells: list[str], runs: int) -> tuple[list[Seen], float, float]:
    """What is there behind each run; frames a second of a scroll, the median and the slowest tenth."""
    notebook = jupyter.open(jupyter.write(name, *cells))
    page = notebook.page
    seen = []
    for _ in range(runs):
        page.evaluate(f"() => {{ for (const cell of {CELLS}) cell.executionCount = null; }}")
        notebook.run()
        page.wait_for_function(DONE, arg=len(cells), timeout=300_000)
        heap, elements = page.evaluate(HEAP)
        said = page.evaluate(f"() => {CELLS}.get({len(cells) - 1}).outputs.toJSON().map(one => one.text).join('')")
        seen.append((heap, elements, said.strip()))
    gaps = sorted(page.evaluate(SCROLL, [".jp-WindowedPanel-outer", FRAMES]))
    page.close()
    jupyter.pages.clear()
    return seen, 1000 / statistics.median(gaps), 1000 / gaps[int(len(gaps) * 0.9)]


def main() -> int:
    """Print the table."""
    count, runs = (int(given) for given in (*sys.argv[1:], *("30", "4")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as home, sync_playwright() as play:
        folder = Path(home, "work")
        folder.mkdir()
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        with serving(folder, Path(home)) as address:
            jupyter = Jupyter(address, folder, browser, "lab/tree")
            ours = watched(jupyter, "ours.ipynb", [FIRST, *[CELL] * count, COUNT], runs)
            plain = watched(
                jupyter, "plain.ipynb", ["import torch", *[CELL.split("\n", 1)[1]] * count, "print()"], runs
            )
        browser.close()
    print(f"{count} cells, each with a finding\nrun   heap MB   plain   elements   plain   kernel keeps")
    for run, (mine, other) in enumerate(zip(ours[0], plain[0], strict=True), 1):
        print(f"{run:3} {mine[0]:9.1f} {other[0]:7.1f} {mine[1]:10,} {other[1]:7,}   {mine[2]}")
    print(
        f"scroll, frames a second: {ours[1]:.0f} (slowest tenth {ours[2]:.0f}); plain {plain[1]:.0f} ({plain[2]:.0f})"
    )
    second = ours[0][min(1, runs - 1)]
    return int(ours[0][-1][0] > _MORE * second[0])


if __name__ == "__main__":
    sys.exit(main())

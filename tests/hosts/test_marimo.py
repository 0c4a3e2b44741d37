"""marimo: a recording shows its widget by itself, and spans are those of the file, where the cell is indented."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.jupyter.conftest import wait_until_served
from tests.recording import record_text

NOTEBOOK = """\
import marimo
app = marimo.App()
@app.cell
def _():
    import torch, inplace
    with inplace.record() as rec:
        x = torch.ones(3, requires_grad=True)
        h = torch.sigmoid(x)
        h.relu_()
        try:
            h.sum().backward()
        except RuntimeError:
            pass
    print(rec)
    rec
    return (rec,)
if __name__ == "__main__":
    app.run()
"""


def _marimo(*arguments: object, folder: Path) -> str:
    pytest.importorskip("marimo")
    (folder / "notebook.py").write_text(NOTEBOOK)
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_notebook_that_is_run_as_a_script_has_the_spans_of_its_file(tmp_path: Path) -> None:
    """Marimo compiles the dedented cell under the name of the file."""
    told = _marimo("notebook.py", folder=tmp_path).splitlines()

    underlined = told[next(n for n, line in enumerate(told) if line.endswith("│         h.relu_()")) + 1]
    assert underlined.endswith("│         ^^^^^^^^^")


def test_recording_shows_its_widget(tmp_path: Path) -> None:
    """What stands last in a cell is drawn by marimo, and the cell has a name."""
    told = _marimo("-m", "marimo", "export", "html", "notebook.py", "-o", "page.html", "-f", folder=tmp_path)

    assert "  cell " in told or "  this cell" in told
    assert "marimo-anywidget" in (tmp_path / "page.html").read_text()


def test_code_that_was_dedented_is_found_in_its_file(tmp_path: Path) -> None:
    """Functions in it too; what was not dedented stays where it is."""
    text = "def cell():\n    def double(h):\n        return h.mul_(2)\n    x = torch.ones(3)\n"
    text += "    double(x)\n    double( x ).add_(1)\n"
    recorded = record_text(text, dedented=4)

    spans = [site.position for site in recorded.trace.sites]
    assert {(one.line, one.column, one.end_column) for one in spans} >= {(3, 15, 24), (4, 8, 21), (6, 4, 23)}


@contextmanager
def _serving(mode: str, folder: Path) -> Iterator[str]:
    """The address at which marimo serves the notebook."""
    pytest.importorskip("marimo")
    (folder / "notebook.py").write_text(NOTEBOOK)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--headless", "--no-token", "--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-m", "marimo", mode, "notebook.py", *options]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}  # marimo looks for it
    with subprocess.Popen(
        command, cwd=folder, env=plain, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        try:
            assert server.stdout is not None
            said = iter(server.stdout.readline, "")
            assert any(f":{port}" in line for line in said), "it does not serve"
            wait_until_served(f"http://127.0.0.1:{port}/health")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@pytest.mark.browser
@pytest.mark.parametrize(("mode", "lines"), [("run", (8, 9)), ("edit", (4, 5))])
def test_recording_is_drawn_in_a_browser(mode: str, lines: tuple[int, int], tmp_path: Path, chromium: Any) -> None:
    """`marimo run` and `marimo edit` show the widget by itself: the lines, each with the code that is meant."""
    with _serving(mode, tmp_path) as address:
        page = chromium.new_page(viewport={"width": 1280, "height": 1600})
        page.goto(address)
        if mode == "edit":
            page.locator(".cm-content").first.wait_for(timeout=120_000)
            page.keyboard.press("Control+Shift+R")  # run all that is stale
        page.get_by_text("overwrites it").wait_for(timeout=120_000)
        told = page.locator("marimo-anywidget").evaluate("host => host.shadowRoot.textContent")
        page.close()

    saved, wrote = lines
    assert f"line {wrote}: h.relu_() changed h after line {saved} saved it" in told

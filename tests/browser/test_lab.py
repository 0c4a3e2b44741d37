"""The widget in JupyterLab, with a real kernel: it draws, keeps its keys, and tells Python what was chosen."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).resolve().parent.parent.parent
SHOW = f"""\
import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "src")!r}]
from tests.browser.traces import README, record
from inplace.render.diagram import diagram
from inplace.render.widget import DiagramWidget
w = DiagramWidget.of(diagram(record(README))); w"""
READY = ".jp-Notebook-ExecutionIndicator[data-status='idle']"


def _cell(name: str, text: str) -> dict[str, object]:
    return {"cell_type": "code", "execution_count": None, "id": name, "metadata": {}, "outputs": [], "source": text}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """The address of a JupyterLab that serves one notebook."""
    pytest.importorskip("jupyterlab", reason="jupyterlab is not installed")
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    cells = [_cell("a1", SHOW), _cell("a2", "print('selected is', w.selected)")]
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "t.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [
        "--no-browser",
        "--allow-root",
        f"--port={port}",
        "--ServerApp.token=",
        f"--ServerApp.root_dir={tmp_path}",
    ]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen([sys.executable, "-m", "jupyterlab", *options], stdout=log, stderr=log)
        yield f"http://127.0.0.1:{port}"
        server.terminate()
        server.wait(timeout=30)


def _opened(chromium: Any, address: str) -> Any:
    page = chromium.new_page(viewport={"width": 1400, "height": 1000})
    for _ in range(200):  # until the server listens
        try:
            urllib.request.urlopen(f"{address}/api", timeout=5).close()  # noqa: S310 - our own server
            break
        except OSError:
            page.wait_for_timeout(100)
    page.goto(f"{address}/lab/tree/t.ipynb")
    page.wait_for_selector(READY, timeout=60_000)
    return page


def _run(page: Any, cell: Any) -> None:
    """Run a cell: again where Lab, not quite ready, let the keys pass."""
    from playwright.sync_api import TimeoutError as Late

    for _ in range(5):
        cell.locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        try:
            cell.locator(".jp-InputPrompt", has_text=re.compile(r"\[[*0-9]+\]")).wait_for(timeout=4_000)
        except Late:
            continue
        return


def test_widget_lives_in_lab(chromium: Any, lab: str) -> None:
    """Keys step through the calls and delete no cell; `selected` follows; the theme of the host is taken."""
    page = _opened(chromium, lab)
    cells = page.locator(".jp-Notebook .jp-CodeCell")
    _run(page, cells.first)
    page.wait_for_selector(".ip-call", timeout=60_000)
    page.locator(".ip-list").focus()

    for key in ("Home", "ArrowRight", "ArrowRight", "d", "d", "a", "x"):
        page.keyboard.press(key)

    assert cells.count() == 2
    assert page.locator(".ip-range").input_value() == "2"
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    page.wait_for_selector(".ip[data-theme='dark']")
    _run(page, cells.nth(1))
    page.get_by_text("selected is 2").wait_for(timeout=20_000)
    page.close()

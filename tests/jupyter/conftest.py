"""Jupyter servers with a home of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

Opened = Callable[[Path, Path, str], Any]


def environment(home: Path) -> dict[str, str]:
    """The environment of a Jupyter whose settings, data and trust are in one folder, and that shows widgets."""
    places = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    kept = {key: value for key, value in os.environ.items() if key != "INPLACE_STATIC"}
    return {**kept, **places, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@contextmanager
def serving(folder: Path, home: Path, app: str = "jupyterlab") -> Iterator[str]:
    """The address of a JupyterLab, or of another application of Jupyter's, that shows a folder."""
    settings = [
        "--no-browser",
        "--allow-root",
        "--port=0",
        "--IdentityProvider.token=here",
        f"--ServerApp.root_dir={folder}",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.extension_manager=readonly",
        "--JupyterNotebookApp.expose_app_in_browser=True",
    ]
    server = subprocess.Popen(
        [sys.executable, "-m", app, *settings], stderr=subprocess.PIPE, text=True, env=environment(home)
    )
    try:
        address = _address(server)
        threading.Thread(target=server.stderr.read if server.stderr else str, daemon=True).start()  # so it never fills
        wait_until_served(f"{address}/api?token=here")
        yield address
    finally:
        server.terminate()
        server.wait(timeout=60)


def wait_until_served(address: str) -> None:
    """Ask for an address until it answers: Jupyter and marimo tell theirs before they listen there.

    Raises:
        urllib3.exceptions.MaxRetryError: nothing listens there for more than a minute.
    """
    urllib3.request("GET", address, retries=urllib3.Retry(connect=10, backoff_factor=0.1))


def _address(server: subprocess.Popen[str]) -> str:
    """The address that a server says it listens on."""
    assert server.stderr is not None
    said = []
    for line in server.stderr:
        said.append(line)
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        if found:
            return found[0]
    raise AssertionError("Jupyter did not start:\n" + "".join(said))


@pytest.fixture
def open_notebook(chromium: Any) -> Iterator[Opened]:
    """Opens a notebook in a fresh JupyterLab, given its folder, Jupyter's home and its name, with its kernel ready."""
    pytest.importorskip("jupyterlab")
    with ExitStack() as stack:

        def opened(folder: Path, home: Path, name: str) -> Any:
            address = stack.enter_context(serving(folder, home))
            page = chromium.new_page(viewport={"width": 1400, "height": 1400})
            stack.callback(page.close)
            page.set_default_timeout(90_000)
            page.goto(f"{address}/lab/tree/{name}?token=here&reset")
            page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.sessionContext?.isReady")
            return page

        yield opened

"""A real JupyterLab in a real browser: the cell that the README shows is run, and its finding is seen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHOTS = os.environ.get("INPLACE_SCREENSHOTS")
"""Where to leave screenshots; none are taken without it."""

FIRST = "import torch\n%load_ext inplace"
CELL = """%%inplace
a = torch.tensor([1., 2., 3.]); b = a; c = a[1:]
a.add_(10)
x = torch.randn(3, requires_grad=True)
h = torch.sigmoid(x)
g = h.relu_()
g.sum().backward()"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab whose folder has one notebook that was never run."""
    pytest.importorskip("jupyterlab")
    from nbformat import write
    from nbformat.v4 import new_code_cell, new_notebook

    home = tmp_path_factory.mktemp("lab")
    folder = home / "work"
    folder.mkdir()
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    write(new_notebook(cells=[new_code_cell(FIRST), new_code_cell(CELL)], metadata=kernel), folder / "cell.ipynb")
    settings = ["--no-browser", "--allow-root", "--port=0", "--IdentityProvider.token=here"]
    settings += [
        f"--ServerApp.root_dir={folder}",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.extension_manager=readonly",
    ]
    places = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    environment = {key: value for key, value in os.environ.items() if key != "INPLACE_STATIC"}
    environment |= {**places, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *settings], stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        address = _address(server)
        threading.Thread(target=server.stderr.read if server.stderr else str, daemon=True).start()  # so it never fills
        yield address
    finally:
        server.terminate()
        server.wait(timeout=60)


def _address(server: subprocess.Popen[str]) -> str:
    """The address that a server says it listens on."""
    assert server.stderr is not None
    said = []
    for line in server.stderr:
        said.append(line)
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        if found:
            return found[0]
    raise AssertionError("JupyterLab did not start:\n" + "".join(said))


@pytest.fixture
def page(lab: str, chromium: Any) -> Iterator[Any]:
    """The notebook, opened in JupyterLab with its kernel ready."""
    opened = chromium.new_page(viewport={"width": 1400, "height": 1400})
    opened.set_default_timeout(90_000)
    opened.goto(f"{lab}/lab/tree/cell.ipynb?token=here&reset")
    opened.wait_for_function("window.jupyterapp?.shell?.currentWidget?.sessionContext?.isReady")
    yield opened
    opened.close()


def test_the_cell_shows_its_finding_in_jupyterlab(page: Any) -> None:
    """The error stays the cell's own, and below it our widget, not its still stand-in, names `relu_`."""
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    cell = page.locator(".jp-CodeCell").nth(1)
    outputs = cell.locator(".jp-OutputArea-child")
    outputs.nth(1).locator(".ip-call").filter(has_text="relu_").wait_for(state="visible")  # rows that only a widget has
    assert outputs.count() == 2
    assert "RuntimeError" in outputs.nth(0).inner_text()
    assert "----> 7 g.sum().backward()" in outputs.nth(0).inner_text()
    shown = outputs.nth(1).inner_text()
    assert "In[2]" in shown
    assert "line 6: h.relu_()" in shown
    assert "torch.sigmoid(x)" in shown
    if SHOTS:
        outputs.nth(1).scroll_into_view_if_needed()
        page.screenshot(path=str(Path(SHOTS) / "jupyterlab.png"))

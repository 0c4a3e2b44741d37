"""A real JupyterLab in a real browser: the cell that the README shows is run, and its finding is seen."""

from __future__ import annotations

import os
from collections.abc import Callable
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


@pytest.fixture
def page(open_notebook: Callable[..., Any], tmp_path: Path) -> Any:
    """A notebook that was never run, opened in JupyterLab with its kernel ready."""
    from nbformat import write
    from nbformat.v4 import new_code_cell, new_notebook

    folder = tmp_path / "work"
    folder.mkdir()
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    write(new_notebook(cells=[new_code_cell(FIRST), new_code_cell(CELL)], metadata=kernel), folder / "cell.ipynb")
    return open_notebook(folder, tmp_path, "cell.ipynb")


def test_the_cell_shows_its_finding_in_jupyterlab(page: Any) -> None:
    """The error stays the cell's own, and below it our widget, not its still stand-in, names `relu_`."""
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    cell = page.locator(".jp-CodeCell").nth(1)
    outputs = cell.locator(".jp-OutputArea-child")
    outputs.nth(1).locator(".ip-told-line").filter(has_text="relu_").wait_for(state="visible")  # only a widget has them
    assert [outputs.nth(number).is_visible() for number in range(outputs.count())] == [True, True, False]
    assert "RuntimeError" in outputs.nth(0).inner_text()
    assert "----> 7 g.sum().backward()" in outputs.nth(0).inner_text()
    shown = outputs.nth(1).inner_text()
    assert "In[2]" in shown
    assert "line 6: h.relu_()" in shown
    assert "torch.sigmoid(x)" in shown
    if SHOTS:
        outputs.nth(1).scroll_into_view_if_needed()
        page.screenshot(path=str(Path(SHOTS) / "jupyterlab.png"))

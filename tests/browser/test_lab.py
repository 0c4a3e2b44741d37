"""The widget alone in JupyterLab, with a real kernel: it keeps its keys, and tells Python what was chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

APP = "jupyterlab"
ROOT = Path(__file__).resolve().parent.parent.parent
SHOW = f"""\
import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "src")!r}]
from tests.browser.traces import README, record
from inplace.render.picture.diagram import diagram
from inplace.render.picture.widget import DiagramWidget
w = DiagramWidget.of(diagram(record(README))); w"""


def test_widget_lives_in_lab(jupyter: Any) -> None:
    """Keys step through the calls and delete no cell; `selected` follows; the theme of the host is taken."""
    notebook = jupyter.open(jupyter.write("alone.ipynb", SHOW, "print('selected is', w.selected)"))
    notebook.run()
    widget = notebook.cell(0).locator(".ip")
    widget.locator(".ip-tab[data-tab='all']").click()
    widget.locator(".ip-call").first.wait_for()
    widget.locator(".ip-list").focus()

    for key in ("Home", "ArrowRight", "ArrowRight", "d", "d", "a", "x"):
        notebook.page.keyboard.press(key)

    assert notebook.count() == 2
    assert widget.locator(".ip-range").input_value() == "2"
    notebook.page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    notebook.cell(0).locator(".ip[data-theme='dark']").wait_for()
    notebook.cell(1).locator(".cm-content").click()
    notebook.command("notebook:run-cell")
    notebook.page.get_by_text("selected is 2").wait_for()
    assert notebook.faults == []

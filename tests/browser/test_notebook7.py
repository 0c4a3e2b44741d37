"""Notebook 7, its own page rather than Lab's: the finding, its keys and its theme."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.test_first_view_lab import CELL, FIRST, seen_at_once

pytestmark = [pytest.mark.browser, pytest.mark.slow]

APP = "notebook"


def _theme(notebook: Any, name: str) -> None:
    notebook.page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name)


def test_the_cell_shows_its_finding_in_notebook_7(jupyter: Any) -> None:
    """The culprit's line is marked, arrow keys step and stay ours, and the theme of the host is taken."""
    notebook = jupyter.open(jupyter.write("finding.ipynb", FIRST, CELL))
    assert notebook.page.evaluate("window.jupyterapp.name") == "Jupyter Notebook"

    notebook.run()
    widget = notebook.cell(1).locator(".ip")
    widget.locator(".ip-tab[data-tab='all']").click()
    widget.locator(".ip-call").first.wait_for()

    marked = widget.locator(".ip-code .ip-line:has(.ip-mark.ip-role-culprit)")
    assert marked.get_attribute("data-line") == "0:4"
    assert marked.locator(".ip-u-culprit").inner_text() == "h.relu_()"
    assert "is-chosen" in str(marked.get_attribute("class"))

    widget.locator(".ip-list").focus()
    for key in ("Home", "ArrowRight", "ArrowDown", "ArrowLeft", "d", "d", "x"):
        notebook.page.keyboard.press(key)

    assert notebook.count() == 2
    assert widget.locator(".ip-range").input_value() == "1"
    assert widget.locator(".ip-line.is-chosen").get_attribute("data-line") == "0:3"

    assert widget.get_attribute("data-theme") == "light"
    _theme(notebook, "JupyterLab Dark")
    notebook.cell(1).locator(".ip[data-theme='dark']").wait_for()
    _theme(notebook, "JupyterLab Light")
    notebook.cell(1).locator(".ip[data-theme='light']").wait_for()
    assert notebook.faults == []


@pytest.mark.one_of(2)
@pytest.mark.parametrize("keys", ["Shift+Enter", "Control+Enter"])
def test_the_finding_is_in_sight_after_running_in_notebook_7(jupyter: Any, keys: str) -> None:
    """In a window of 1366 x 768: the headline and the change are seen without scrolling, behind a long traceback."""
    seen_at_once(jupyter, keys)

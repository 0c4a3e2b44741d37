"""The pane of gradients: parameters by steps, what led to a cell, and the lines it leads to."""

from __future__ import annotations

import pytest

from inplace.render.picture.diagram import diagram
from tests.browser.conftest import Open
from tests.browser.traces import README, record

pytestmark = pytest.mark.browser

TEXT = """import torch
from torch import nn
x = torch.ones(8, 3)
model, spare = nn.Linear(3, 1), nn.Linear(3, 1)
opt = torch.optim.SGD([*model.parameters(), spare.weight], lr=0.1)
for i in range(6):
    opt.zero_grad()
    model(x).pow(2).mean().backward()
    if i == 3:
        model.zero_grad()
    opt.step()
"""
CHOSEN = ".ip-ledger-cell.is-chosen"


def test_each_cell_is_told(open_page: Open) -> None:
    """There is a row for each parameter, a column for alike steps, and a word in each cell."""
    page = open_page(diagram(record(TEXT)))

    assert page.locator(".ip-ledger-name").all_inner_texts() == ["model.weight", "model.bias", "spare.weight"]
    assert page.locator(".ip-ledger-cell").all_inner_texts() == [
        *("used", "cleared", "used"),
        *("used", "cleared", "used"),
        *("None", "None", "None"),
    ]
    assert page.locator(CHOSEN).get_attribute("aria-label") == "model.weight, line 11, step 4, cleared"


def test_a_mark_leads_to_its_line(open_page: Open) -> None:
    """Each thing that happened to a gradient points to its line, also where it made no call."""
    page = open_page(diagram(record(TEXT)))
    marks = page.locator(".ip-chain-mark")

    assert [one.split(" line")[0] for one in marks.all_inner_texts()] == ["cleared", "backward", "cleared", "step"]
    marks.nth(2).click()
    assert page.locator(".ip-line.is-pointed").get_attribute("data-line") == "0:10"
    marks.nth(1).click()
    assert page.locator(".ip-line.is-chosen").get_attribute("data-line") == "0:8"


def test_a_cell_leads_to_its_step(open_page: Open) -> None:
    """A click on a cell chooses the step that ended it, and tells what led there."""
    page = open_page(diagram(record(TEXT)))

    page.locator(".ip-ledger-cell").nth(6).click()

    assert page.locator(CHOSEN).get_attribute("aria-label") == "spare.weight, line 11, steps 1 to 3, None"
    assert "there was none" in page.locator(".ip-chain").inner_text()
    assert page.locator(".ip-line.is-chosen").get_attribute("data-line") == "0:11"


def test_arrow_keys_move_in_the_table(open_page: Open) -> None:
    """Within the table arrows go from cell to cell and leave the calls alone."""
    page = open_page(diagram(record(TEXT)))
    before = page.locator(".ip-did").inner_text()
    page.locator(CHOSEN).focus()

    for key in ("ArrowDown", "ArrowRight", "ArrowUp", "End", "Home", "ArrowLeft"):
        page.keyboard.press(key)

    assert page.locator(CHOSEN).get_attribute("aria-label") == "model.weight, line 11, steps 1 to 3, used"
    assert page.evaluate("document.activeElement.classList.contains('is-chosen')")
    assert page.locator(".ip-did").inner_text() == before


@pytest.mark.parametrize("width", [360, 600, 1360])
def test_nothing_overflows(open_page: Open, width: int) -> None:
    """The page is never wider than the window: the table scrolls by itself."""
    page = open_page(diagram(record(TEXT.replace("i == 3", "i % 2").replace("range(6)", "range(40)"))), width=width)

    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_picture_without_gradients_has_no_pane(open_page: Open) -> None:
    """Where nothing went backward there is no pane."""
    for text in ("import torch\na = torch.ones(3)\na.add_(1)", README):
        assert open_page(diagram(record(text))).locator(".ip-gradients").count() == 0

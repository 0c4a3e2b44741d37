"""The picture printed: one column with every finding, the source, one page of graph and the first calls."""

from __future__ import annotations

import re
from typing import Any

import pytest

from inplace.render.picture.diagram import diagram
from tests.browser.conftest import Open
from tests.browser.test_first_view import WIDE
from tests.browser.traces import README, record

pytestmark = pytest.mark.browser

TWO = """\
import torch
a = torch.zeros(4)
kept = [a]
a += 1
print(kept[0])
x = torch.linspace(-1, 1, 3, requires_grad=True)
h = torch.sigmoid(x)
h.mul_(2)
h.sum().backward()
"""
CUT = "els => els.filter(el => el.scrollHeight > el.clientHeight + 1).map(el => el.className)"
PAGE = (700, 900)  # of the graph, in pixels


def printed(page: Any) -> Any:
    """The page as it is laid out while it is printed."""
    page.emulate_media(media="print")
    page.locator(".ip[data-paper]").first.wait_for(state="attached")
    return page


def test_paper_has_the_finding_and_no_controls(open_page: Open) -> None:
    """Nothing to press is there, and nothing is cut, whatever was open on screen."""
    page = open_page(diagram(record(README)))
    page.locator(".ip-tab[data-tab='calls']").click()

    printed(page)

    assert page.locator(".ip-headline").first.is_visible()
    controls = page.locator(".ip-bar, .ip-buttons, .ip-scrubber, .ip-pane button:not(.ip-word)").all()
    assert not any(one.is_visible() for one in controls)
    assert page.locator(".ip-code, .ip-canvas, .ip-excerpt, .ip-diff, .ip-list").evaluate_all(CUT) == []
    assert page.locator(".ip-source").is_visible()
    assert page.locator(".ip-graph").is_visible()


def test_all_findings_are_printed(open_page: Open) -> None:
    """On screen they are told by turns; each has its own colour and its own memory."""
    report = record(TWO)
    page = printed(open_page(diagram(report)))

    told = page.locator(".ip-first:visible")
    assert told.count() == len(report.findings) > 1
    assert len(set(told.locator("h2").all_text_contents())) == len(report.findings)
    assert {one.get_attribute("data-severity") for one in page.locator(".ip-others > .ip-first").all()} == {"info"}


def test_a_long_graph_takes_one_page_around_the_finding(open_page: Open) -> None:
    """It is no larger than a page, what is told is on it, and it is said that the graph is larger."""
    page = printed(open_page(diagram(record(WIDE))))

    drawing = page.locator(".ip-graph").bounding_box()
    assert drawing["width"] <= PAGE[0]
    assert drawing["height"] <= PAGE[1]
    for box in page.locator(".ip-box.is-told").all():
        rect = box.bounding_box()
        assert drawing["y"] <= rect["y"]
        assert rect["y"] + rect["height"] <= drawing["y"] + drawing["height"]
    assert page.get_by_text("What is around the finding; the whole graph is larger than a page.").is_visible()


def test_the_first_calls_are_printed(open_page: Open) -> None:
    """Unfolded where there are few; of thousands the first rows, and how many are left."""
    few = printed(open_page(diagram(record(README))))
    assert few.locator(".ip-calls .ip-call:not(.ip-fold)").count() == 8

    lines = "".join(f"x = x.cos()  # {number}\nx = x.sin()\n" for number in range(150))
    many = printed(open_page(diagram(record(f"import torch\nx = torch.ones(2)\n{lines}"))))
    assert many.locator(".ip-calls .ip-call").count() == 200
    assert many.get_by_text(re.compile(r"… \d+ more rows not printed")).is_visible()


def test_behind_printing_all_is_as_before(open_page: Open) -> None:
    """What was open, chosen and folded, the theme, and the size of the graph; also where nothing was open."""
    page = open_page(diagram(record(README)), scheme="dark")
    page.locator(".ip-tab[data-tab='autograd']").click()
    graph = page.locator(".ip-graph")
    state = [page.locator(".ip").get_attribute("data-theme"), graph.get_attribute("viewBox"), graph.bounding_box()]
    rows = page.locator(".ip-call").count()

    printed(page)
    assert page.locator(".ip").get_attribute("data-theme") == "light"
    page.emulate_media(media="screen")
    page.locator(".ip:not([data-paper])").wait_for()

    again = [page.locator(".ip").get_attribute("data-theme"), graph.get_attribute("viewBox"), graph.bounding_box()]
    assert again == state
    assert page.locator(".ip-call").count() == rows
    assert page.locator(".ip").get_attribute("data-tab") == "autograd"
    assert not page.locator(".ip-others").count()
    assert not page.locator(".ip-source").is_visible()


def test_a_cell_without_findings_is_one_line_on_paper_too(open_page: Open) -> None:
    """There is nothing to tell of it."""
    page = open_page(diagram(record("import torch\nx = torch.ones(3)\n")))
    page.locator(".ip-tab[data-tab='all']").click()
    printed(page)

    assert page.locator(".ip").bounding_box()["height"] < 80

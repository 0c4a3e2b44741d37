"""The page of several processes in a real browser: what all say, a tab for each, keys, and axe-core."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inplace.facts.model import Process
from inplace.render.picture.ranks import ranks_page
from inplace.render.words.merged import merged
from inplace.shells.explanation import Explanation
from tests.browser.test_accessibility import serious
from tests.recording import record_text

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=window.pwned=1>"
TEXT = f"""
x = torch.ones(3, requires_grad=True)
h = torch.sigmoid(x)
note = "{HOSTILE}"
if rank == 1:
    h.mul_(2)
if rank == 2:
    h.add_(len("{HOSTILE}"))
h.sum().backward()
""".strip()


def shown(count: int) -> str:
    """The page of some ranks, the last first; the second and third write each in its own way."""
    found = []
    for rank in reversed(range(count)):
        process = Process(rank, rank, count, "here", 100 + rank, "torchrun", None)
        trace = record_text(TEXT, rank=rank).trace
        sources = tuple(replace(source, file="/home/me/step.py") for source in trace.sources)
        found.append(Explanation.of(replace(trace, process=process, sources=sources)))
    pictured = [(one.trace.process, one.diagram()) for one in found]
    return ranks_page(merged([one.to_json() for one in found]), pictured)


@pytest.fixture
def opened(chromium: Any, tmp_path: Path) -> Iterator[Any]:
    """The page of three ranks, of which two have a bug, and whose code has what looks like markup."""
    path = tmp_path / "ranks.html"
    path.write_text(shown(3), encoding="utf-8")
    faults: list[str] = []
    page = chromium.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda asked: None if asked.url == path.as_uri() else faults.append(asked.url))
    page.goto(path.as_uri())
    yield page
    page.close()
    assert faults == []


def chosen(page: Any) -> tuple[str, str]:
    """The tab that is chosen, and the lines with a call in the picture that is seen; none for what all say."""
    tab = page.locator("[role=tab][aria-selected=true]").inner_text().split("\n")[0]
    panel = page.locator("[role=tabpanel]:not([hidden])")
    assert panel.count() == 1
    headline = panel.locator("h2").first
    return tab, headline.inner_text() if headline.count() else ""


def test_a_rank_is_picked_and_the_picture_changes(opened: Any) -> None:
    """The ranks are in order, and each tab shows the picture of its own."""
    tabs = opened.get_by_role("tab")
    assert [text.split("\n")[0] for text in tabs.all_inner_texts()] == ["All", "rank 0", "rank 1", "rank 2"]
    assert chosen(opened)[0] == "All"

    seen = []
    for number in range(1, 4):
        tabs.nth(number).click()
        seen.append(chosen(opened))

    assert [tab for tab, _ in seen] == ["rank 0", "rank 1", "rank 2"]
    assert [("mul_" in text, "add_" in text) for _, text in seen] == [(False, False), (True, False), (False, True)]
    assert opened.evaluate("window.pwned") is None


def test_keys_go_from_rank_to_rank(opened: Any) -> None:
    """Arrows go round, Home and End to the ends; one tab is in the order of focus, and what was picked has it."""
    opened.get_by_role("tab").first.focus()
    seen = []

    for key in ("ArrowRight", "ArrowRight", "End", "ArrowRight", "ArrowLeft", "Home"):
        opened.keyboard.press(key)
        seen.append(chosen(opened)[0])
        assert opened.evaluate("document.activeElement.getAttribute('aria-selected')") == "true"

    assert seen == ["rank 0", "rank 1", "rank 2", "All", "rank 2", "All"]
    assert opened.locator("[role=tab][tabindex='0']").count() == 1


def test_a_finding_leads_to_the_picture_of_a_rank_that_has_it(opened: Any) -> None:
    """Beside a finding stands a button for each of its ranks."""
    card = opened.locator(".all section").filter(has_text="mul_").first

    card.get_by_role("button").click()

    assert chosen(opened)[0] == "rank 1"
    assert "rank 1" in opened.evaluate("document.activeElement.innerText")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_nothing_serious_is_found(opened: Any, scheme: str, width: int) -> None:
    """Contrast, names, roles and the rest of axe's rules; and nothing is wider than the window."""
    opened.emulate_media(color_scheme=scheme)
    opened.set_viewport_size({"width": width, "height": 900})

    for tab in (0, 2):
        opened.get_by_role("tab").nth(tab).click()
        assert serious(opened) == []
        assert opened.evaluate("document.documentElement.scrollWidth") <= width


def test_what_all_say_is_seen_where_no_script_runs(chromium: Any, tmp_path: Path) -> None:
    """It stands in the page itself."""
    path = tmp_path / "ranks.html"
    path.write_text(shown(2), encoding="utf-8")
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())

    assert page.locator(".all h2").first.is_visible()
    assert "only rank 1 made calls on line 5" in page.locator(".all").inner_text()
    context.close()

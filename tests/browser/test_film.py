"""The film of a storage: frames of what calls did to its bytes, stepped, played and jumped through."""

from __future__ import annotations

from typing import Any

import pytest

from inplace.render.picture.diagram import diagram
from tests.browser.conftest import Open
from tests.browser.traces import README, big_report, record

pytestmark = pytest.mark.browser

LOOP = """\
import torch
a = torch.zeros(4)
b = a[2:]
for step in range(3):
    b += step
c = a[:2].sum()
d = a.sum()
"""


def opened(open_page: Open, code: str, width: int = 1100) -> Any:
    """A picture of some code with its film open."""
    page = open_page(diagram(record(code)), width=width)
    page.locator(".ip-tab[data-tab='film']").click()
    return page


def band(page: Any, which: str) -> list[str]:
    """What stands in the bytes before or after the call: names, version, values."""
    return str(page.get_by_role("group", name=f"{which} the call").inner_text()).split("\n")


def test_a_frame_shows_names_version_and_values_before_and_after(open_page: Open) -> None:
    """The write of the README: `g` is a name only afterwards, and the version has moved."""
    page = opened(open_page, README)

    assert band(page, "Before") == ["Before", "12 B on cpu", "h", "v0", "0.269", "0.5", "0.731"]
    assert band(page, "After") == ["After", "12 B on cpu", "h", "g", "v1", "0.269", "0.5", "0.731"]
    told = page.locator(".ip-tale").inner_text()
    assert "h.relu_() writes into these bytes: version 0 → 1." in told
    assert "Sigmoid (line 7) keeps these bytes for backward as of version 0" in told
    assert page.locator(".ip-film-line.is-now").inner_text().split("\n")[-1] == "g = h.relu_()"


def test_the_strip_shows_what_is_kept_and_where_it_breaks(open_page: Open) -> None:
    """Four frames; what sigmoid keeps is whole in the first and broken from the write on, what relu keeps is whole."""
    page = opened(open_page, README)
    frames = page.locator(".ip-frame-card")

    assert [" ".join(one.split()) for one in frames.all_inner_texts()] == [
        "7 torch.sigmoid(x) made kept by Sigmoid",
        "8 h.relu_() written v0 → v1 kept by Relu",
        "9 g.sum() read",
        "9 g.sum().backward() raised",
    ]
    broken = "els => els.map(el => el.querySelectorAll('.ip-hold.is-broken').length)"
    assert frames.evaluate_all(broken) == [0, 1, 1, 1]


def test_keys_go_along_the_frames_of_these_bytes(open_page: Open) -> None:
    """Arrow keys pass over calls that have nothing to do with the bytes; `r` asks who reads them, `w` who writes."""
    page = opened(open_page, README)
    page.locator(".ip-strip").focus()
    now = page.locator(".ip-frame-card.is-now")

    page.keyboard.press("Home")
    assert now.get_attribute("data-step") == "4"
    assert not page.get_by_label("Next write").is_disabled()
    page.keyboard.press("w")
    assert now.get_attribute("data-step") == "5"
    assert page.get_by_label("Next write").is_disabled()
    page.keyboard.press("r")
    assert now.get_attribute("data-step") == "6"
    page.keyboard.press("r")
    assert now.get_attribute("data-step") == "7"
    assert "goes through Sigmoid (line 7), which kept these bytes; line 8 has changed them since." in (
        page.locator(".ip-tale").inner_text()
    )
    page.keyboard.press("Shift+W")
    assert now.get_attribute("data-step") == "5"
    page.keyboard.press("ArrowLeft")
    assert now.get_attribute("data-step") == "4"


def test_who_reads_next_is_asked_of_the_bytes_that_were_written(open_page: Open) -> None:
    """After a write to the second half, the sum of the first half is passed over."""
    page = opened(open_page, LOOP)
    page.locator(".ip-strip").focus()
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("w")

    assert page.locator(".ip-frame-card.is-now code").inner_text() == "b += step"
    assert band(page, "After")[-2:] == ["3", "3"]
    page.keyboard.press("r")
    assert page.locator(".ip-frame-card.is-now code").inner_text() == "a.sum()"


def test_the_finding_plays_its_film(open_page: Open) -> None:
    """The button under the finding opens the film at its beginning; playing stops at the last frame."""
    page = open_page(diagram(record(README)))
    page.clock.install()
    page.get_by_role("button", name="Play the film").click()

    assert page.locator(".ip-frame-card.is-now").get_attribute("data-step") == "4"
    assert page.locator(".ip-film-play").get_attribute("aria-label") == "Pause"
    page.clock.run_for(6_000)
    assert page.locator(".ip-frame-card.is-now").get_attribute("data-step") == "7"
    assert page.locator(".ip-film-play").get_attribute("aria-label") == "Play"


def test_another_storage_has_another_film(open_page: Open) -> None:
    """Storages are offered by the names that reach them, the finding's first; one shows what calls did to it."""
    page = opened(open_page, README)

    assert page.locator(".ip-pick option").all_inner_texts() == ["g, h · 12 B", "a, b, c · 12 B", "x · 12 B"]
    page.locator(".ip-pick").select_option("1")
    assert page.locator(".ip-frame-act").all_inner_texts() == ["made", "shared", "written\nv0 → v1"]
    assert "has nothing to do with these bytes" in page.locator(".ip-tale").inner_text()


def test_a_hundred_thousand_calls_have_few_frames_on_the_page(open_page: Open) -> None:
    """Of a tensor written 25,000 times the first and last frames are kept, and a handful are on the page."""
    page = open_page(diagram(big_report()))
    page.locator(".ip-tab[data-tab='film']").click()
    page.locator(".ip-pick").select_option("2")
    page.locator(".ip-strip").focus()
    page.keyboard.press("End")

    assert page.locator(".ip-frame-card").count() < 20
    assert page.locator(".ip-frames").inner_text() == "4,500 of 24,999 frames"
    page.locator(".ip-strip").evaluate("el => { el.scrollLeft = 1500 * 156 - 300; }")
    page.wait_for_selector(".ip-frame-gap")
    assert page.locator(".ip-frame-gap").inner_text() == "… 20,499 frames left out"


@pytest.mark.parametrize("width", [360, 600, 1360])
def test_nothing_of_it_overflows(open_page: Open, width: int) -> None:
    """The film stays inside the picture at any width."""
    page = opened(open_page, LOOP, width=width)

    wide = "els => els.filter(el => el.scrollWidth > el.clientWidth + 1).map(el => el.className)"
    assert page.locator(".ip, .ip-film, .ip-screen, .ip-film-controls, .ip-still-names").evaluate_all(wide) == []

"""What stands around the picture: saving it, its map, folding by keys, and text that would mislead."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from inplace.render.picture.diagram import diagram, more_nodes
from inplace.render.picture.html import to_html
from inplace.render.picture.svg import to_svg
from inplace.shells.explanation import Explanation
from tests.browser.conftest import Open
from tests.browser.test_first_view import WIDE
from tests.browser.traces import README, record

pytestmark = pytest.mark.browser

BUILT = """
import torch
from torch import nn
net = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 1))
x = torch.ones(2, 4)
for _ in range(2):
    y = torch.sigmoid(net(x)); z = y.mean(); z.backward()
"""


@pytest.fixture
def static(chromium: Any, tmp_path: Path) -> Any:
    """The README's cell as a page of its own, with the still picture in it."""
    report = record(README)
    file = tmp_path / "page.html"
    file.write_text(to_html(diagram(report), to_svg(report), "text"), encoding="utf-8")
    page = chromium.new_page(viewport={"width": 1200, "height": 900}, accept_downloads=True)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.goto(file.as_uri())
    page.wait_for_selector(".ip-call")
    yield page
    page.close()
    assert faults == []


def saved(page: Any, what: str) -> Path:
    """The file that an item of the menu saves."""
    page.locator(".ip-save").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name=what).click()
    page.keyboard.press("Escape")
    assert not page.locator(".ip-save-items").is_visible()
    return Path(download.value.path())


def test_the_picture_is_saved_as_page_svg_and_png(static: Any, chromium: Any, tmp_path: Path) -> None:
    """The page saved opens alone and can be saved again; SVG is the still picture, PNG that at twice the pixels."""
    svg = saved(static, "Picture (SVG)").read_text(encoding="utf-8")
    assert svg.startswith("<svg")
    assert "h.relu_()" in svg
    png = saved(static, "Picture (PNG)").read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(png[16:20], "big") == 2 * 880
    again = tmp_path / "again.html"
    again.write_bytes(saved(static, "Page (HTML)").read_bytes())

    page = chromium.new_page()
    page.goto(again.as_uri())
    page.wait_for_selector(".ip-call")
    assert page.locator(".ip-title").inner_text() == "In[3]"
    assert page.locator(".ip").count() == 1
    assert saved(page, "Picture (SVG)").read_text(encoding="utf-8") == svg
    page.close()


def test_keys_work_on_a_page_before_anything_is_clicked(static: Any) -> None:
    """The page is ours alone, so an arrow key steps as soon as it is open."""
    assert static.evaluate("document.activeElement === document.body")

    static.keyboard.press("ArrowLeft")

    assert static.locator(".ip-call.is-chosen").get_attribute("data-step") == "4"


def test_a_long_graph_has_a_map(open_page: Open) -> None:
    """The finding is in it, what is in sight is framed, and a press goes there; a short graph has none."""
    page = open_page(diagram(record(WIDE)))
    page.locator(".ip-tab[data-tab='autograd']").click()
    canvas, image = page.locator(".ip-canvas"), page.locator(".ip-map")

    assert image.locator(".is-told").count() == 2
    before = canvas.evaluate("el => el.scrollTop")
    image.click(position={"x": 4, "y": float(str(image.get_attribute("height"))) - 6})
    assert canvas.evaluate("el => el.scrollTop") > before + 200
    image.locator(".ip-map-sight:not([y='0'])").wait_for(state="attached")  # it is told of a scroll in the next frame

    assert not open_page(diagram(record(README))).locator(".ip-map").is_visible()


def test_the_map_hides_nothing_that_is_told(open_page: Open) -> None:
    """It stands in a corner that is free, also where the finding is at the end of the graph."""
    end = "import torch\nx = torch.ones(2, requires_grad=True)\nfor _ in range(30):\n    x = x.sin() + 1\n"
    page = open_page(diagram(record(f"{end}h = x.sigmoid()\nh.mul_(2)\nh.sum().backward()\n")), width=700)
    page.locator(".ip-tab[data-tab='autograd']").click()

    image = page.locator(".ip-map").bounding_box()
    for one in page.locator(".ip-box.is-told").all():
        box = one.bounding_box()
        apart = box["x"] + box["width"] <= image["x"] or image["x"] + image["width"] <= box["x"]
        assert apart or box["y"] + box["height"] <= image["y"] or image["y"] + image["height"] <= box["y"]


def test_a_search_lights_the_nodes_it_finds(open_page: Open) -> None:
    """By line, and by the name of what a node keeps; Enter brings the next one into sight."""
    page = open_page(diagram(record(WIDE)))
    page.locator(".ip-tab[data-tab='autograd']").click()
    page.locator(".ip-search").fill("line 20")

    assert page.locator(".ip-box.is-found .ip-box-title").all_text_contents() == ["Sin", "Add"]
    page.locator(".ip-search").press("Enter")
    inside = """el => { const [box, view] = [el, el.closest('.ip-canvas')].map(one => one.getBoundingClientRect());
      return box.top >= view.top && box.bottom <= view.bottom; }"""
    assert page.locator(".ip-box.is-chosen").evaluate(inside)
    page.locator(".ip-search").fill("result = h")
    assert page.locator(".ip-box.is-found .ip-box-title").all_text_contents() == ["Exp"]


def test_a_search_lights_the_tensors_it_finds(open_page: Open) -> None:
    """By any part of a name; the first is brought into sight, and nothing is lit without a search."""
    lines = "".join(f"weight_{number} = torch.zeros({number + 1})\n" for number in range(24))
    page = open_page(diagram(record(f"import torch\n{lines}a = weight_3\n")))
    page.locator(".ip-search").fill("HT_21")

    found = page.locator(".ip-references .ip-row.is-found")
    assert found.locator(".ip-name").all_inner_texts() == ["weight_21"]
    inside = """el => { const [box, view] = [el, el.closest('.ip-stores')].map(one => one.getBoundingClientRect());
      return box.top >= view.top && box.bottom <= view.bottom; }"""
    assert found.locator(".ip-card").evaluate(inside)
    page.locator(".ip-search").fill("")
    assert found.count() == 0


def test_more_of_a_large_graph_is_to_be_had() -> None:
    """Who asks gets the nodes that were left out, those of the finding among them."""
    code = "import torch\nx = torch.ones(2, requires_grad=True)\nk = h = x.exp()\n"
    report = record(f"{code}for _ in range(90):\n    k = k.sin() + 1\nh.mul_(2)\nk.sum().backward()\n")
    first, more = diagram(report).autograd, more_nodes(report, 600)

    assert (len(first.boxes), first.hidden) == (50, first.total - 48)
    assert len(more.boxes) > 150
    assert {box.id for box in first.boxes if box.finding >= 0} < {box.id for box in more.boxes}


def test_a_page_draws_more_of_its_graph_without_a_kernel(chromium: Any, tmp_path: Path) -> None:
    """The nodes that were left out are in the page; what is open and chosen stays, and keys still step by one."""
    code = "import torch\nx = torch.ones(2, requires_grad=True)\nk = h = x.exp()\n"
    report = record(f"{code}for _ in range(90):\n    k = k.sin() + 1\nh.mul_(2)\nk.sum().backward()\n")
    file = tmp_path / "page.html"
    file.write_text(Explanation(report.index, report.findings, report.standing).to_html(), encoding="utf-8")
    page = chromium.new_page(viewport={"width": 1200, "height": 900})
    page.goto(file.as_uri())
    page.locator(".ip-tab[data-tab='autograd']").click()
    step = int(page.locator(".ip-range").input_value())

    page.get_by_text("draw more").click()

    assert page.locator(".ip").count() == 1
    assert page.locator(".ip-box").count() == diagram(report).autograd.total + 1
    assert page.locator(".ip-tab[data-tab='autograd']").get_attribute("aria-expanded") == "true"
    assert not page.get_by_text("draw more").count()
    page.locator("body").press("ArrowLeft")
    assert int(page.locator(".ip-range").input_value()) == step - 1
    page.close()


def test_what_constructors_call_is_one_row(open_page: Open) -> None:
    """The eight calls that build the layers fold into one row with the classes' names; the loop below is as it was."""
    page = open_page(diagram(record(BUILT + "\n" * 3 + "a = torch.ones(1)\n" * 40)))
    page.locator(".ip-list").evaluate("el => { el.scrollTop = 0; }")
    first = page.locator(".ip-fold", has_text="built by")
    first.wait_for()

    assert re.sub(r"\s+", " ", first.inner_text()) == "built by Linear, LayerNorm 12 calls"
    assert page.locator(".ip-call", has_text="kaiming_uniform_").count() == 0
    first.click()
    assert page.locator(".ip-call", has_text="kaiming_uniform_").count() > 0


def test_arrow_up_leaves_a_group_and_f_folds_it(open_page: Open) -> None:
    """From the first call of an unfolded line, up goes to what stands above it; `f` folds the group and unfolds it."""
    page = open_page(diagram(record(README)))
    view, chosen = page.locator(".ip-list"), page.locator(".ip-call.is-chosen")
    view.focus()
    page.keyboard.press("Home")
    for _ in range(6):
        page.keyboard.press("ArrowDown")
    assert chosen.get_attribute("data-step") == "6"

    page.keyboard.press("ArrowUp")
    assert chosen.get_attribute("data-step") == "5"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("f")
    assert "2 calls" in chosen.inner_text()
    page.keyboard.press("f")
    assert chosen.get_attribute("data-step") == "6"


def test_marks_of_direction_are_spelled_out(open_page: Open) -> None:
    """A right-to-left override in the source can't reorder what is read."""
    page = open_page(diagram(record(README.replace("b = a", "b = a  # \u202e tsal \u2066"))))

    text = page.locator(".ip-line[data-line='0:3']").inner_text()
    assert "\\u202e tsal \\u2066" in text
    assert "\u202e" not in page.locator(".ip").inner_text()


def test_a_long_name_keeps_its_end(open_page: Open) -> None:
    """What differs stands at the end of the path of a parameter."""
    code = "import torch\nclass Very: pass\nvery_long_model_name = Very()\n"
    page = open_page(diagram(record(f"{code}very_long_model_name.encoder_norm_weight = torch.ones(3)\n")))
    name = page.locator(".ip-references .ip-name")

    assert name.text_content() == "very_long_model_name.encoder_norm_weight"
    end = name.locator("span").last
    assert end.inner_text() == "er_norm_weight"
    assert end.evaluate("el => el.scrollWidth <= el.clientWidth + 1 && el.getBoundingClientRect().right"
                        " <= el.parentNode.getBoundingClientRect().right")  # fmt: skip


def test_the_empty_line_of_a_magic_is_not_shown(open_page: Open) -> None:
    """A cell's text begins with an empty line where `%%inplace` was; the source begins below it, with its number."""
    page = open_page(diagram(record("\n" + README)))

    assert page.locator(".ip-source .ip-line").first.inner_text().split("\n")[0].strip() == "2"
    assert page.locator(".ip-source .ip-more").count() == 0


def test_the_shape_of_four_dimensions_leaves_room_for_the_version(open_page: Open) -> None:
    """The badge of the version stays inside its card."""
    page = open_page(diagram(record("import torch\nimages = torch.randn(128, 1024, 224, 2)[:1, :1]\n")), width=700)
    inside = """el => el.querySelector('.ip-badge').getBoundingClientRect().right <= el.getBoundingClientRect().right"""

    assert page.locator(".ip-references .ip-card").evaluate_all(f"els => els.every({inside})")


def test_forced_colours_keep_the_bars(chromium: Any, open_page: Open) -> None:
    """Where the system chooses the colours, the parts of a storage still stand out from it."""
    page = open_page(diagram(record("import torch\na = torch.ones(64)\nb = a[:9]\na.add_(1)\n")))
    page.emulate_media(forced_colors="active")
    colour = "el => getComputedStyle(el).backgroundColor"

    piece, frame = page.locator(".ip-references .ip-piece").first, page.locator(".ip-references .ip-frame").first
    assert piece.evaluate(colour) != frame.evaluate(colour)


@pytest.mark.parametrize(
    ("change", "example"),
    [("g = h.relu_()", "E25"), ("h.mul_(2); g = h", "E13")],
)
def test_the_lesson_fits_the_cause(change: str, example: str) -> None:
    """An activation in place is sent to the example of one, another write to what raises and what is silent."""
    found = diagram(record(README.replace("g = h.relu_()", change))).findings[0]

    assert (found.kind, found.example) == ("saved-tensor-modified", example)

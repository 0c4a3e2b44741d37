"""The first view: the finding in one glance, the rest behind a bar that opens it in place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inplace.render.picture.diagram import Diagram, diagram
from inplace.render.picture.html import page as page_of
from inplace.render.words.glossary import GLOSSARY
from tests.browser.traces import README, record

pytestmark = pytest.mark.browser

GLANCE = 420  # CSS pixels that the finding may take, in a notebook of 1366 x 768

CLASS = """\
import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Linear(4, 8)
        self.head = torch.nn.Linear(8, 1)

    def forward(self, batch_of_features_with_a_long_name):
        hidden_representation = torch.sigmoid(self.encoder(batch_of_features_with_a_long_name))
        hidden_representation += 0.1 * torch.ones_like(hidden_representation) + batch_of_features_with_a_long_name
        return self.head(hidden_representation)

net = Net()
x = torch.randn(16, 4)
for epoch in range(3):
    loss = net(x).pow(2).mean()
    loss.backward()
"""
ALIAS = "import torch\na = torch.zeros(4)\nb = a[1:]\nkept = [a]\na += 1\nprint(kept[0], b)\n"
MANY = (
    "import torch\nx = torch.ones(3, requires_grad=True)\n"
    + "".join(f"h{n} = x.exp()\nh{n}.add_({n})\n" for n in range(12))
    + "sum(h.sum() for h in (h0, h1, h2)).backward()\n"
)
SEVERAL = """\
import torch
w, b = torch.ones(3, requires_grad=True), torch.zeros(3, requires_grad=True)
{further}
params = [w, b, *further]
x = torch.rand(4, 3)
for _ in range(4):
    loss = (x * w + b).pow(2).sum() + sum(one.sum() for one in further)
    loss.backward()
    for p in params:
        p.data -= 0.1 * p.grad
    del p
"""


@pytest.fixture
def closed(chromium: Any, tmp_path: Path) -> Any:
    """Opens a diagram as a widget is opened: with nothing but the finding."""
    pages = []

    def opened(picture: Diagram, width: int = 1100) -> Any:
        file = tmp_path / "first.html"
        file.write_text(page_of("first", [picture]).replace('{ tab: "all" }', "{}"), encoding="utf-8")
        page = chromium.new_page(viewport={"width": width, "height": 700})
        page.goto(file.as_uri())
        page.wait_for_selector(".ip-first")
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()


FITTING = {
    "readme": README,
    "class": CLASS,
    "alias": ALIAS,
    "many": MANY,
    "several": SEVERAL.format(further="further = [torch.ones(300, requires_grad=True) for _ in range(5)]"),
}


@pytest.mark.parametrize("code", FITTING.values(), ids=FITTING)
def test_the_finding_fits_one_glance(closed: Any, code: str) -> None:
    """Verdict, lines, names, bytes, fix and buttons are at most 420 pixels tall; nothing is cut at the side."""
    page = closed(diagram(record(code)))

    assert page.locator(".ip").bounding_box()["height"] <= GLANCE
    assert not page.locator(".ip-stage").is_visible()
    wide = "els => els.filter(el => el.scrollWidth > el.clientWidth + 1).map(el => el.className)"
    assert page.locator(".ip, .ip-first, .ip-excerpt, .ip-told-line").evaluate_all(wide) == []


@pytest.mark.parametrize("width", [1100, 420])
@pytest.mark.parametrize(
    ("further", "said"), [("[]", []), ("[torch.ones(2, requires_grad=True)]", ["… and 1 more tensor"])]
)
def test_several_parameters_are_seen_at_once(closed: Any, width: int, further: str, said: list[str]) -> None:
    """The first two have a row each, none of which is cut or has to be scrolled to; how many more is said."""
    page = closed(diagram(record(SEVERAL.format(further=f"further = {further}"))), width)

    stores = page.locator(".ip-first .ip-stores")
    assert stores.evaluate("el => el.scrollHeight <= el.clientHeight + 1")
    assert page.locator(".ip-first .ip-name").all_inner_texts() == ["w", "params[0]", "b", "params[1]"]
    assert page.locator(".ip-further").all_inner_texts() == said


def test_the_lines_say_what_they_did(closed: Any) -> None:
    """Culprit, victim and the line that raised are there, each with its word; the bytes and the name beside them."""
    page = closed(diagram(record(README)))

    told = page.locator(".ip-told-line:has(.ip-mark)")
    assert [" ".join(text.split()) for text in told.all_inner_texts()] == [
        "7 h = torch.sigmoid(x) still needed",
        "8 g = h.relu_() overwrites it",
        "9 g.sum().backward() raised here",
    ]
    assert page.locator(".ip-first .ip-name").all_inner_texts() == ["g", "h"]
    assert page.locator(".ip-first .ip-badge").first.inner_text() == "v0 → v1"


def test_each_tab_opens_its_part_in_place(closed: Any) -> None:
    """A tab shows one pane, a second press closes it, and a line of the finding opens the whole at its call."""
    page = closed(diagram(record(README)))
    panes = page.locator(".ip-pane")
    shown = "els => els.filter(el => el.offsetParent).map(el => el.getAttribute('aria-label'))"

    page.locator(".ip-tab[data-tab='autograd']").click()
    assert panes.evaluate_all(shown) == ["Autograd graph"]
    assert int(page.locator(".ip-graph").get_attribute("width")) > 100
    page.locator(".ip-tab[data-tab='calls']").click()
    assert panes.evaluate_all(shown) == ["Calls"]
    assert page.locator(".ip-call.is-chosen").is_visible()
    page.locator(".ip-tab[data-tab='calls']").click()
    assert panes.evaluate_all(shown) == []
    page.locator(".ip-told-line", has_text="sigmoid").click()
    assert len(panes.evaluate_all(shown)) == panes.count() - 1  # the film stands in a tab of its own
    assert page.locator(".ip-call.is-chosen").get_attribute("data-step") == "4"


def test_keys_open_what_they_move_in(closed: Any) -> None:
    """An arrow key opens the picture at the call it goes to, `o` closes it, and `?` lists the keys."""
    page = closed(diagram(record(README)))
    page.locator(".ip-tab").first.focus()

    page.keyboard.press("ArrowLeft")
    assert page.locator(".ip-call.is-chosen").get_attribute("data-step") == "4"
    page.keyboard.press("o")
    assert not page.locator(".ip-stage").is_visible()
    assert not page.locator(".ip-help").is_visible()
    page.keyboard.press("?")
    assert "search" in page.locator(".ip-help").inner_text()


def test_a_run_without_findings_is_one_line(closed: Any) -> None:
    """How much was called and written, in one line that opens."""
    page = closed(diagram(record("import torch\na = torch.ones(3)\na.add_(1)\n")))

    assert page.locator(".ip").bounding_box()["height"] <= 60
    assert "2 calls, 1 in place" in page.locator(".ip-first").inner_text()
    page.locator(".ip-first .ip-link-button").click()
    assert page.locator(".ip-call").count() == 2


def test_the_change_and_the_finding_can_be_copied(closed: Any) -> None:
    """The change as plain `-` and `+` lines; the finding as Markdown with the lines, the reason and the change."""
    page = closed(diagram(record(README)))
    page.evaluate(
        """() => Object.defineProperty(navigator, "clipboard", {
          value: { writeText: async text => { window.copied = text; } }, configurable: true,
        })"""
    )

    page.get_by_text("Copy the change").click()
    assert page.evaluate("window.copied") == "- g = h.relu_()\n+ g = h.relu()"
    page.get_by_text("Copy as Markdown").click()
    page.wait_for_function("window.copied.includes('**saved-tensor-modified**')")
    told = page.evaluate("window.copied")
    assert "line 8: h.relu_()  # overwrites it" in told
    assert "```diff\n- g = h.relu_()\n+ g = h.relu()\n```" in told
    assert page.locator(".ip-copied").inner_text() == "Copied."


WIDE = (
    "import torch\nx = torch.ones(3, requires_grad=True)\nh = x.exp()\nk = h\n"
    + "".join(f"k = k.sin() + {n}\n" for n in range(30))
    + "h.mul_(2)\nk.sum().backward()\n"
)


def test_a_word_is_explained_where_it_stands(closed: Any) -> None:
    """A word of the glossary in a sentence opens what it means below, by click and by key, one at a time."""
    page = closed(diagram(record(README)))
    meaning = page.locator(".ip-meaning").first
    version, saved = (page.locator(".ip-word", has_text=word).first for word in ("version", "saved"))

    assert page.locator(".ip-sentence").first.locator(".ip-word").all_inner_texts() == ["version", "saved"]
    assert meaning.is_hidden()
    version.click()
    assert " ".join(GLOSSARY["version"]).replace("`", "") in meaning.inner_text()
    saved.focus()
    page.keyboard.press("Enter")
    assert meaning.inner_text().startswith("saved")
    assert [one.get_attribute("aria-expanded") for one in (version, saved)] == ["false", "true"]
    saved.click()
    assert meaning.is_hidden()


def test_the_graph_is_sized_and_moved(closed: Any) -> None:
    """Buttons, keys and Ctrl with the wheel size it, a drag moves it, and it stays as the reader has put it."""
    page = closed(diagram(record(WIDE)))
    page.set_viewport_size({"width": 1100, "height": 1300})
    page.locator(".ip-tab[data-tab='autograd']").click()
    canvas, graph = page.locator(".ip-canvas"), page.locator(".ip-graph")

    def width() -> int:
        return int(str(graph.get_attribute("width")))

    def top() -> int:
        return int(canvas.evaluate("el => el.scrollTop"))

    both = "els => els.map(el => el.getBoundingClientRect()).map(box => [box.top, box.bottom])"
    box = canvas.bounding_box()
    for begin, end in page.locator(".ip-box.is-told").evaluate_all(both):
        assert box["y"] <= begin
        assert end <= box["y"] + box["height"]

    first = width()
    page.get_by_label("Larger (+)").click()
    assert width() > first
    page.get_by_label("Fit (0)").click()
    assert canvas.evaluate("el => el.scrollHeight - el.clientHeight") <= 1
    fitted = width()
    graph.focus()
    page.keyboard.press("+")
    canvas.hover()
    page.keyboard.down("Control")
    for _ in range(4):
        page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    page.wait_for_function(f"Number(document.querySelector('.ip-graph').getAttribute('width')) > {2 * fitted}")
    before = top()
    x, y = box["x"] + 8, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 60)
    page.mouse.up()
    assert top() == before - 60
    chosen = width()
    page.locator(".ip-tab[data-tab='all']").click()
    assert width() == chosen

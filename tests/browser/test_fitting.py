"""Nothing is cut, overlaps or says the wrong thing where there is little room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inplace.render.picture.diagram import diagram
from inplace.render.picture.html import page as page_of
from tests.browser.conftest import Open
from tests.browser.traces import record

pytestmark = pytest.mark.browser

BLOCK = """\
import torch
from torch import nn
class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3, padding=1)
    def forward(self, x):
        identity = x
        out = torch.relu(self.conv(x))
        out += identity
        return out
net = nn.Sequential(Block(4), Block(4), nn.Flatten(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(3):
    x, y = torch.randn(16, 4, 8), torch.randint(0, 2, (16,))
    loss = nn.functional.cross_entropy(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
KEPT = """\
import torch
from torch import nn
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(64, 3), torch.randn(64, 1)
best, best_loss = model.state_dict(), float("inf")
for epoch in range(5):
    loss = (model(x) - y).pow(2).mean()
    if loss.item() < best_loss:
        best, best_loss = model.state_dict(), loss.item()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
model.load_state_dict(best)
"""
LOST = """\
import torch
from torch import nn
x, y = torch.randn(64, 3), torch.randn(64, 1)
encoder, head = nn.Linear(3, 8), nn.Linear(8, 1)
optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.1)
for step in range(6):
    optimizer.zero_grad()
    loss = (head(encoder(x).detach()) - y).pow(2).mean()
    loss.backward()
    optimizer.step()
"""
SAFE = "import torch\nx = torch.ones(3, requires_grad=True)\nh = x * 2\nh += 1\nh.sum().backward()\n"
JUPYTER = """
:root { --jp-code-font-size: 13px; --jp-code-line-height: 1.3 }
.themed code, .themed pre { font-size: var(--jp-code-font-size); line-height: var(--jp-code-line-height) }
"""
OVERLAPS = """els => {
  const boxes = els.map(el => el.getBoundingClientRect());
  return boxes.some((a, i) => boxes.slice(i + 1).some(b => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1));
}"""  # noqa: E501 - a script
CUT = "els => els.filter(el => el.scrollWidth > el.clientWidth + 1).map(el => el.textContent)"


@pytest.mark.parametrize("width", [1280, 860, 640, 420])
@pytest.mark.parametrize("code", [BLOCK, KEPT], ids=["block", "kept"])
def test_the_lines_of_a_finding_are_seen_whole(open_page: Open, code: str, width: int) -> None:
    """No line is half cut: those around the told ones leave where there is no room for all."""
    page = open_page(diagram(record(code)), width=width)

    excerpt = page.locator(".ip-excerpt")
    assert excerpt.evaluate("el => el.scrollHeight <= el.clientHeight + 1")
    assert excerpt.locator(".ip-told-line:has(.ip-mark)").count() == 3
    assert page.locator(".ip-first .ip-diff").evaluate("el => el.scrollHeight <= el.clientHeight + 1")


def test_lines_around_leave_and_come_back(open_page: Open) -> None:
    """As many lines around the told ones are there as fit: fewer in a narrow panel, all where it is wide again."""
    code = BLOCK.replace("identity", "what_came_into_this_block")
    page = open_page(diagram(record(code)), width=1280)
    lines = page.locator(".ip-told-line")
    all_of_them = lines.count()

    page.set_viewport_size({"width": 220, "height": 900})
    left = page.locator(".ip-told-line[hidden]").first
    left.wait_for(state="attached")

    assert page.locator(".ip-told-line:has(.ip-mark):visible").count() == 3
    page.set_viewport_size({"width": 1280, "height": 900})
    left.wait_for(state="detached")
    assert lines.count() == all_of_them


@pytest.mark.parametrize("width", [860, 420])
def test_names_and_memory_lie_beside_each_other(open_page: Open, width: int) -> None:
    """Cards lie on no bytes and no name is cut, also where the pane is alone; the finding above stays as it was."""
    page = open_page(diagram(record(KEPT)), width=width)
    place = "el => [el.offsetLeft, el.offsetWidth, el.offsetHeight]"
    before = page.locator(".ip-first .ip-card").first.evaluate(place)

    page.locator(".ip-tab[data-tab='references']").click()

    assert page.locator(".ip-first .ip-card").first.evaluate(place) == before
    for pane in (".ip-first", ".ip-references"):
        assert not page.locator(f"{pane} .ip-card, {pane} .ip-frame").evaluate_all(OVERLAPS)
        assert page.locator(f"{pane} .ip-card, {pane} .ip-name").evaluate_all(CUT) == []
    assert page.locator(".ip-first .ip-stores").evaluate("el => el.scrollHeight <= el.clientHeight + 1")


def test_names_of_parameters_use_the_room_of_a_narrow_panel(open_page: Open) -> None:
    """Beside one column of steps a name is whole."""
    page = open_page(diagram(record(LOST)), width=420)

    page.locator(".ip-tab[data-tab='gradients']").click()

    assert page.locator(".ip-ledger-name").evaluate_all(CUT) == []


def test_few_calls_leave_no_empty_room(open_page: Open) -> None:
    """The list of calls is as tall as its rows."""
    page = open_page(diagram(record("import torch\nx = torch.ones(3)\ny = x + 1\n")), width=1280)

    assert page.locator(".ip-list").bounding_box()["height"] < 3 * 26


def test_code_in_a_sentence_has_its_size_in_every_host(chromium: Any, tmp_path: Path) -> None:
    """Jupyter's own sheet makes code smaller and lower than the headline around it; here it does not."""
    file = tmp_path / "host.html"
    file.write_text(page_of("host", [diagram(record(BLOCK))]))
    page = chromium.new_page()
    page.goto(file.as_uri())
    page.wait_for_selector(".ip-first")
    page.add_style_tag(content=JUPYTER)
    page.evaluate("document.body.className = 'themed'")
    size = "el => [getComputedStyle(el).fontSize, Math.round(parseFloat(getComputedStyle(el).lineHeight))]"

    assert page.locator(".ip h2 code").first.evaluate(size) == page.locator(".ip h2").evaluate(size)
    page.close()


def test_each_line_of_a_kept_reference_says_its_part(open_page: Open) -> None:
    """Who keeps, who writes and who reads the bytes stands beside each, and in the sign's own words."""
    page = open_page(diagram(record(KEPT)))

    told = page.locator(".ip-told-line:has(.ip-mark)")
    assert told.locator(".ip-role").all_inner_texts() == ["the same bytes", "writes them", "reads them"]
    assert told.locator(".ip-mark").evaluate_all("els => els.map(el => el.title)") == [
        "the same bytes", "writes them", "reads them",
    ]  # fmt: skip


def test_a_safe_write_is_not_called_harmful(open_page: Open) -> None:
    """The signs beside a call that harms nothing say so, in the finding and in the source."""
    page = open_page(diagram(record(SAFE)))

    told = page.locator(".ip-mark.is-told.ip-role-culprit").evaluate_all("els => els.map(el => el.title)")
    assert set(told) == {"safe"}

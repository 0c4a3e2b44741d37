"""Modules of the autograd graph are folded into one box each, and opened again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from inplace.render.picture.diagram import diagram, more_nodes
from tests.browser.traces import record

pytestmark = pytest.mark.browser

Open = Callable[..., Any]

BLOCKS = """\
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(4, 8), nn.Linear(8, 4)

    def forward(self, x):
        h = self.up(x).sigmoid()
        if self is middle:
            h.mul_(2)
        return x + self.down(h)

class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Block() for _ in range(COUNT)])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

encoder = Encoder()
middle = None
"""
STEP = "loss = encoder(torch.ones(2, 4)).sum()\nloss.backward()\n"
BROKEN = BLOCKS.replace("if self is middle", "if self is encoder.layers[1]").replace("middle = None\n", "") + STEP
ROWS = "boxes => boxes.map(box => box.getBoundingClientRect())"


def graph(open_page: Open, code: str) -> Any:
    """The page of a recording with its graph open."""
    page = open_page(diagram(record(code)))
    page.locator(".ip-tab[data-tab='autograd']").click()
    return page


def titles(page: Any) -> list[str]:
    """What is written on the folded modules, from the data on."""
    found: list[str] = page.locator(".ip-box-module .ip-box-title").all_text_contents()
    return sorted(found)


def test_a_module_is_one_box_and_opens_again(open_page: Open) -> None:
    """By its button; what was in it, its leaves among them, is counted, and the lines from and to it stay."""
    page = graph(open_page, BROKEN.replace("COUNT", "3"))
    whole = page.locator(".ip-box").count()
    first = page.locator(".ip-module", has_text="encoder.layers[0]")

    first.click()
    assert titles(page) == ["+ encoder.layers[0]"]
    box = page.locator(".ip-box-module")
    count = int(box.locator(".ip-box-sub").text_content().split()[0])
    assert count > 5
    assert page.locator(".ip-box").count() == whole - count + 1
    assert not page.locator(".ip-box", has_text="encoder.layers[0].up.weight").count()
    assert page.locator(".ip-module", has_text="encoder.layers[0]").evaluate("el => el === document.activeElement")
    before = page.locator(".ip-link").count()

    box.click()
    assert titles(page) == []
    assert page.locator(".ip-box").count() == whole
    assert page.locator(".ip-link").count() > before


def test_what_is_told_stays_when_the_others_are_folded(open_page: Open) -> None:
    """The block with the broken save stays open, in sight, and no box lies over another."""
    page = graph(open_page, BROKEN.replace("COUNT", "3"))

    page.locator(".ip-module-all").click()

    assert titles(page) == ["+ encoder.layers[0]", "+ encoder.layers[2]"]
    view = page.locator(".ip-canvas").bounding_box()
    for rect in page.locator(".ip-box.is-told").evaluate_all(ROWS):
        assert view["y"] <= rect["top"] < rect["bottom"] <= view["y"] + view["height"]
    rects = page.locator(".ip-box > rect:first-child").evaluate_all(ROWS)
    for number, one in enumerate(rects):
        for two in rects[number + 1 :]:
            apart = one["right"] <= two["left"] or two["right"] <= one["left"]
            assert apart or one["bottom"] <= two["top"] or two["bottom"] <= one["top"]
    page.locator(".ip-module-all").click()
    assert titles(page) == []


def test_keys_fold_and_open(open_page: Open) -> None:
    """Enter folds the innermost module of the box that was chosen, and opens a folded one."""
    page = graph(open_page, BROKEN.replace("COUNT", "2"))
    page.locator(".ip-box", has_text="Sigmoid").first.click()

    page.locator(".ip-graph").press("Enter")
    assert len(titles(page)) == 1
    page.locator(".ip-graph").press("Enter")
    assert titles(page) == []


def test_a_search_lights_a_folded_module_that_has_what_is_looked_for(open_page: Open) -> None:
    """What is within it is not lost."""
    page = graph(open_page, BROKEN.replace("COUNT", "3"))
    page.locator(".ip-module", has_text="encoder.layers[0]").click()

    page.locator(".ip-search").fill("layers[0].up.weight")

    assert page.locator(".ip-box-module.is-found").count() == 1


def test_twelve_layers_open_layer_by_layer(open_page: Open) -> None:
    """A large module that is opened shows its layers folded, with leaves of long names in them."""
    model = """\
import torch
from torch import nn
layer = nn.TransformerEncoderLayer(8, 2, 8, batch_first=True, dropout=0.0)
encoder_of_sentences, head = nn.TransformerEncoder(layer, 12), nn.Linear(8, 2)
h = head(encoder_of_sentences(torch.ones(1, 3, 8))).sigmoid()
h.mul_(2)
h.sum().backward()
"""
    report = record(model)
    whole = replace(diagram(report), autograd=more_nodes(report, 1200))
    page = open_page(whole)
    page.locator(".ip-tab[data-tab='autograd']").click()

    assert titles(page) == ["+ encoder_of_sentences", "+ head"]
    assert page.locator(".ip-box").count() < 8
    page.locator(".ip-module[title='Open encoder_of_sentences']").click()
    assert len([title for title in titles(page) if "layers[" in title]) == 12
    assert page.locator(".ip-box").count() < 25
    page.locator(".ip-module[title='Open encoder_of_sentences.layers[3]']").click()
    assert page.locator(".ip-box").count() > 50


def test_a_graph_without_modules_has_none_to_fold(open_page: Open) -> None:
    """There is no row of buttons."""
    page = graph(open_page, "import torch\nx = torch.ones(2, requires_grad=True)\nx.exp().sum().backward()\n")

    assert not page.locator(".ip-modules").is_visible()

"""The HTML page has everything in it, and nothing of the user's can become markup or script."""

from __future__ import annotations

import json
import re
from typing import Any

from inplace.render.picture.diagram import diagram
from inplace.render.picture.html import as_data, to_html
from inplace.render.picture.svg import to_svg
from inplace.render.picture.widget import DiagramWidget
from tests.browser.traces import README, record

HOSTILE = "</script><script>alert(1)</script><!--\u2028\u2029&amp;"


def test_page_carries_the_diagram() -> None:
    """The diagram in the page is the diagram, read back."""
    picture = diagram(record(README))

    page = to_html(picture)

    data = re.search(r'<script type="application/json" id="inplace-0">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert json.loads(data.group(1)) == json.loads(json.dumps(picture.to_json()))


def test_page_asks_for_nothing_outside() -> None:
    """No address, no import, and a policy that would refuse them."""
    page = to_html(diagram(record(README)))

    assert "default-src 'none'" in page
    assert not re.search(r"""(?:src|href|url\()\s*=?\s*["']?(?:https?:)?//""", page)
    assert not re.search(r"^\s*import\s.*from", page.split('<script type="module">')[1], re.MULTILINE)


def test_hostile_source_cannot_leave_the_data() -> None:
    """A script end, a comment and line separators in the user's text are escaped in the data."""
    code = f"import torch\nt = torch.ones(2)  # {HOSTILE}\nt.add_(1)\n"
    picture = diagram(record(code, title=HOSTILE))

    text, page = as_data(picture), to_html(picture)

    assert not set(text) & {"<", ">", "&", "\u2028", "\u2029"}
    assert json.loads(text)["title"] == picture.title
    assert "<script>alert" not in page


def test_lone_surrogates_can_be_written() -> None:
    """Text that is no valid Unicode is written all the same."""
    picture = diagram(record("import torch\nt = torch.ones(2)  # x\n", title="\ud800"))

    assert to_html(picture).encode()


def test_widget_shows_the_same_diagram() -> None:
    """The widget's trait is the diagram, and a step can be chosen."""
    picture = diagram(record(README))

    widget = DiagramWidget.of(picture)
    widget.selected = 2

    assert widget.diagram == picture.to_json()
    assert widget.selected == 2


def test_widgets_of_a_long_session_are_packed_and_read_as_ever() -> None:
    """All but those shown last: a front end that asks again is given the same, and what they hold is less."""
    shown = diagram(record(README))
    picture, widgets = shown.to_json(), [DiagramWidget.of(shown) for _ in range(7)]

    held = [widget._trait_values["diagram"] for widget in widgets]
    assert [isinstance(one, bytes) for one in held] == [True] * 3 + [False] * 4
    assert len(held[0]) < len(json.dumps(picture)) / 3
    assert [widget.diagram for widget in widgets] == [picture] * 7
    assert widgets[0].get_state()["diagram"] == picture
    told: list[Any] = []
    widgets[0].observe(told.append, "diagram")
    widgets[0].selected = 1
    assert told == []
    widgets[0].diagram = {**picture, "title": "again"}
    assert widgets[0].diagram["title"] == "again"
    assert len(told) == 1


def test_the_still_is_dark_where_the_page_is() -> None:
    """Each colour that it is drawn in has one for the dark, of text and of the card behind it; paper stays light."""
    report = record(README)
    still = to_svg(report)
    page = to_html(diagram(report), still, "text")
    dark = page.partition("@media screen and (prefers-color-scheme: dark)")[2].partition("\n}\n")[0]

    for light in set(re.findall(r'(?:fill|stroke)="(#[0-9a-f]+)"', still)):
        assert f'svg [fill="{light}"] {{ fill: #' in dark
        assert f'svg [stroke="{light}"] {{ stroke: #' in dark

"""The widget's script under the anywidget contract: a model with traits, an element, and a way to go away again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inplace.render.picture.diagram import diagram
from inplace.render.picture.script import script as widget_script
from inplace.render.picture.script import style as widget_style
from tests.browser.traces import README, record

pytestmark = pytest.mark.browser

_STAND_IN = """
const traits = JSON.parse(document.getElementById("traits").textContent);
const heard = new Map();
const model = {
  get: name => traits[name],
  set: (name, value) => { traits[name] = value; (heard.get("change:" + name) ?? []).forEach(tell => tell()); },
  on: (name, tell) => heard.set(name, [...(heard.get(name) ?? []), tell]),
  off: (name, tell) => heard.set(name, (heard.get(name) ?? []).filter(one => one !== tell)),
  save_changes: () => { window.kept = traits.selected; },
};
window.model = model;
window.leave = [1, 2].map(() => {
  const el = document.body.appendChild(document.createElement("div"));
  return render({ model, el });
});
window.heard = () => [...heard.values()].flat().length;
"""


@pytest.fixture
def page(chromium: Any, tmp_path: Path) -> Any:
    """A page with one model shown twice, as two outputs of one widget are."""
    script = widget_script()
    traits = json.dumps({"diagram": diagram(record(README)).to_json(), "selected": None}).replace("<", "\\u003c")
    file = tmp_path / "widget.html"
    file.write_text(
        f'<!doctype html><meta charset="utf-8"><style>{widget_style()}</style><body>'
        f'<script id="traits" type="application/json">{traits}</script>'
        f'<script type="module">{script}{_STAND_IN}</script>',
        encoding="utf-8",
    )
    found = chromium.new_page()
    found.goto(file.as_uri())
    for tab in found.locator(".ip-tab[data-tab='all']").all():
        tab.click()
    found.wait_for_selector(".ip-call")
    yield found
    found.close()


def test_choosing_is_told_to_python(page: Any) -> None:
    """A click in the widget sets `selected` and sends it; a second view of the model follows."""
    page.locator(".ip").first.locator(".ip-line[data-line='0:5']").click()

    assert page.evaluate("window.kept") == 2
    assert page.locator(".ip-range").evaluate_all("all => all.map(one => one.value)") == ["2", "2"]


def test_python_can_choose(page: Any) -> None:
    """A step set from Python is shown."""
    page.evaluate("model.set('selected', 4)")

    assert page.locator(".ip").first.locator(".ip-line.is-chosen").get_attribute("data-line") == "0:7"


def test_another_diagram_is_drawn_again(page: Any) -> None:
    """A new diagram takes the place of the old one: nothing is left behind."""
    page.evaluate("model.set('diagram', { ...model.get('diagram'), title: 'In[4]' })")

    assert page.locator(".ip").count() == 2
    assert page.locator(".ip-title").all_inner_texts() == ["In[4]", "In[4]"]


def test_going_away_leaves_nothing(page: Any) -> None:
    """What `render` gives back takes the picture and every listener away."""
    page.evaluate("window.leave.forEach(away => away())")

    assert page.locator(".ip").count() == 0
    assert page.evaluate("window.heard()") == 0

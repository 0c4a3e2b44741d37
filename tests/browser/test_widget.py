"""The widget's script under the anywidget contract: a model with traits, an element, and a way to go away again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inplace.render.picture.diagram import diagram
from inplace.render.picture.script import loader
from inplace.render.picture.script import script as widget_script
from inplace.render.picture.script import style as widget_style
from inplace.render.picture.widget import DiagramWidget
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
    found = shown(chromium, tmp_path, widget_script())
    yield found
    found.close()


def shown(chromium: Any, tmp_path: Path, script: str) -> Any:
    """The page with all open, drawn by a module."""
    given = {"diagram": diagram(record(README)).to_json(), "selected": None, "_script": widget_script()}
    traits = json.dumps(given).replace("<", "\\u003c")
    file = tmp_path / "widget.html"
    file.write_text(
        f'<!doctype html><meta charset="utf-8"><style>{widget_style()}</style><body>'
        f'<script id="traits" type="application/json">{traits}</script>'
        f'<script type="module">{script}{_STAND_IN}</script>',
        encoding="utf-8",
    )
    found = chromium.new_page()
    found.goto(file.as_uri())
    found.wait_for_function("document.querySelectorAll('.ip').length === 2")
    for tab in found.locator(".ip-tab[data-tab='all']").all():
        tab.click()
    found.wait_for_selector(".ip-call")
    return found


def test_widgets_share_one_module(chromium: Any, tmp_path: Path) -> None:
    """What a front end loads for each is small, since a browser keeps all of it until the page is closed."""
    text = loader().replace("export default", "const { render } =")
    page = shown(chromium, tmp_path, text)

    assert len(loader()) < 1000
    assert page.evaluate("Object.keys(globalThis).filter(key => key.startsWith('torch-inplace')).length") == 1
    page.close()


def test_script_and_style_have_ascii_letters_only() -> None:
    """A browser keeps twice as much of a text with one other letter in it; the letters are escaped."""
    assert widget_script().isascii()
    assert widget_style().isascii()
    assert "\\u2026" in widget_script()


def test_a_widget_is_emptied_before_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """JupyterLab keeps the model of a closed widget with its last two states; so both have nothing in them."""
    widget = DiagramWidget(diagram={"calls": {}})
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(DiagramWidget, "comm", "there")
    monkeypatch.setattr(DiagramWidget, "send_state", lambda one, key=None: sent.append(one.get_state(key)))
    monkeypatch.setattr("anywidget.AnyWidget.close", lambda _: sent.append({"closed": True}))

    widget.close()

    assert sent == [{"diagram": {}, "_script": "", "_css": ""}, {"asked": -1}, {"closed": True}]


def test_an_emptied_model_draws_nothing(page: Any) -> None:
    """It raises nothing either."""
    page.evaluate("model.set('diagram', {})")

    assert page.locator(".ip").count() == 0


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

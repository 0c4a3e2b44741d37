"""Widgets over the life of a notebook: beside each other, run again, after a restart, and opened another day."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

APP = "jupyterlab"
FIRST = "import torch\n%load_ext inplace"
CELL = """%%inplace
x = torch.linspace(-1, 1, 3, requires_grad=True)
h = torch.sigmoid(x)
g = h.relu_()
g.sum().backward()"""
OTHER = CELL.replace("sigmoid", "exp").replace("relu_()", "mul_(2)")
HEADLINE = "line 4: h.relu_() changed h after line 3 saved it"
CONTEXT = "window.jupyterapp.shell.currentWidget.sessionContext"
WIDGET = "application/vnd.jupyter.widget-view+json"

CUT_OFF = "Canceled future for"  # what Lab says of its own requests that a restart leaves without an answer
ELSEWHERE = {"name": "elsewhere", "display_name": "Elsewhere", "language": "elsewhere"}

COUNT_LISTENERS = """
window.inplaceWatches = new Set();  // one observer per widget on show, known by what it looks for
const {observe, disconnect} = MutationObserver.prototype;
MutationObserver.prototype.observe = function (target, options) {
  if (options?.attributeFilter?.includes("data-vscode-theme-kind")) window.inplaceWatches.add(this);
  return observe.call(this, target, options);
};
MutationObserver.prototype.disconnect = function () {
  window.inplaceWatches.delete(this);
  return disconnect.call(this);
};
window.schemeListeners = 0;
const {addEventListener, removeEventListener} = MediaQueryList.prototype;
MediaQueryList.prototype.addEventListener = function (...given) {
  window.schemeListeners += 1;
  return addEventListener.apply(this, given);
};
MediaQueryList.prototype.removeEventListener = function (...given) {
  window.schemeListeners -= 1;
  return removeEventListener.apply(this, given);
};
"""
COUNT_MOTIONS = """
window.motions = 0;
window.addEventListener("transitionrun", ({target}) => { window.motions += target.closest(".ip") ? 1 : 0; }, true);
"""


def _drawn(notebook: Any, number: int) -> Any:
    """The widget below a cell, once it is drawn and open; Lab lays out only what is in sight."""
    notebook.cell(number).scroll_into_view_if_needed()
    widget = notebook.cell(number).locator(".ip")
    everything = widget.locator(".ip-tab[data-tab='all']")
    everything.wait_for()
    if everything.get_attribute("aria-expanded") == "false":
        everything.click()
    widget.locator(".ip-call").first.wait_for()
    return widget


def _press(widget: Any, *keys: str) -> int:
    """The step that a widget shows after some keys."""
    widget.locator(".ip-list").focus()
    for key in keys:
        widget.page.keyboard.press(key)
    return int(widget.locator(".ip-range").input_value())


def _watches(notebook: Any) -> tuple[int, int]:
    """How many widgets watch the host's theme, and how many listeners wait for the system's."""
    return tuple(notebook.page.evaluate("[window.inplaceWatches.size, window.schemeListeners]"))


@pytest.fixture(scope="module")
def finished(server: Any) -> Iterator[Path]:
    """A notebook that was run and saved, with the state of its widgets: `Save Widget State` in Lab's menu."""
    file = server.write("finished.ipynb", FIRST, CELL)
    notebook = server.open(file)
    notebook.run()
    _drawn(notebook, 1)
    notebook.command("@jupyter-widgets/jupyterlab-manager:saveWidgetState")
    notebook.command("docmanager:save")
    notebook.page.close()
    server.pages.remove(notebook.page)
    return file


def _reopened(jupyter: Any, finished: Path, name: str, *, state: bool, trusted: bool) -> Any:
    """The finished notebook opened another day: with a kernel that has run nothing.

    Args:
        jupyter: the shared server.
        finished: the notebook as it was saved.
        name: of the copy that is opened.
        state: whether the state of the widgets was saved.
        trusted: whether it is opened by whoever ran it; without, the kernel it asks for isn't there, and none is taken.
    """
    import nbformat
    from nbformat.sign import NotebookNotary

    value = json.loads(finished.read_text(encoding="utf-8"))
    value["metadata"]["title"] = name  # a notebook is known by its contents
    if not state:
        del value["metadata"]["widgets"]
    if not trusted:
        value["metadata"] |= {"kernelspec": ELSEWHERE, "language_info": {"name": "elsewhere"}}
    file = finished.with_name(name)
    file.write_text(json.dumps(value), encoding="utf-8")
    if trusted:
        notary = NotebookNotary(data_dir=str(jupyter.folder.parent / "data"))
        notary.sign(nbformat.read(file, 4))
        notary.store.close()
        return jupyter.open(file)
    notebook = jupyter.open(file, kernel=False)
    notebook.page.locator(".jp-Dialog select").select_option(label="No Kernel")
    notebook.page.locator(".jp-Dialog .jp-mod-accept").click()
    assert notebook.page.evaluate(f"{CONTEXT}.session === null")
    return notebook


@pytest.mark.whole
def test_two_widgets_know_nothing_of_each_other(jupyter: Any) -> None:
    """Stepping through one leaves the other where it is."""
    notebook = jupyter.open(jupyter.write("two.ipynb", FIRST, CELL, OTHER))
    notebook.run()
    first, second = _drawn(notebook, 1), _drawn(notebook, 2)

    assert [_press(first, "Home"), _press(second, "End")] == [0, 4]
    assert [_press(first, "ArrowRight"), _press(second), _press(first)] == [1, 4, 1]

    assert first.locator(".ip-title").inner_text() == "In[2]"
    assert second.locator(".ip-title").inner_text() == "In[3]"
    assert "h.mul_(2)" in second.locator(".ip-headline").inner_text()
    assert notebook.faults == []


def test_running_again_leaves_nothing_of_the_old_widget(jupyter: Any) -> None:
    """The new widget takes its place: no second picture, no listener of the old one, no error."""
    notebook = jupyter.open(jupyter.write("again.ipynb", FIRST, CELL), script=COUNT_LISTENERS)
    notebook.run()
    assert _press(_drawn(notebook, 1), "Home", "ArrowRight") == 1
    before = _watches(notebook)

    for number in (4, 6):
        notebook.run()
        notebook.cell(1).locator(".ip-title", has_text=f"In[{number}]").wait_for()

    assert notebook.page.locator(".ip").count() == 1
    assert _watches(notebook) == before
    assert before[0] == 1
    assert _press(_drawn(notebook, 1), "Home", "ArrowRight", "ArrowRight") == 2
    assert notebook.faults == []


def test_widget_outlives_its_kernel(jupyter: Any) -> None:
    """After a restart it still steps, without Python behind it; run again it is a new one that works."""
    notebook = jupyter.open(jupyter.write("restart.ipynb", FIRST, CELL))
    notebook.run()
    widget = _drawn(notebook, 1)

    notebook.page.evaluate(f"{CONTEXT}.restartKernel().then(() => null)")
    notebook.page.wait_for_function(f"{CONTEXT}.session.kernel.status === 'idle'")

    assert HEADLINE in widget.locator(".ip-headline").inner_text()
    assert _press(widget, "Home", "ArrowRight", "ArrowRight") == 2
    notebook.run()
    notebook.cell(0).locator(".jp-InputPrompt", has_text=re.compile(r"\[1\]")).wait_for()
    notebook.cell(1).locator(".jp-InputPrompt", has_text=re.compile(r"\[2\]")).wait_for()
    assert _press(_drawn(notebook, 1), "Home", "ArrowRight") == 1
    assert notebook.page.locator(".ip").count() == 1
    assert [fault for fault in notebook.faults if CUT_OFF not in fault] == []


@pytest.mark.whole
def test_reader_without_trust_is_told_in_text(jupyter: Any, finished: Path) -> None:
    """Lab shows nothing active of somebody else's notebook: our text says what was found, where, and what to do."""
    notebook = _reopened(jupyter, finished, "untrusted.ipynb", state=False, trusted=False)

    told = notebook.cell(1).locator(".jp-OutputArea-child", has_text="saved-tensor-modified")
    told.get_by_text(HEADLINE).wait_for()

    assert "+ g = h.relu()" in told.inner_text()
    assert notebook.page.locator(".ip, .jp-RenderedSVG").count() == 0
    assert notebook.faults == []


def test_saved_state_is_the_whole_widget(jupyter: Any, finished: Path) -> None:
    """Where the state of widgets was saved, the widget is drawn and steps, though its kernel is gone."""
    notebook = _reopened(jupyter, finished, "state.ipynb", state=True, trusted=True)

    widget = _drawn(notebook, 1)

    assert HEADLINE in widget.locator(".ip-headline").inner_text()
    assert _press(widget, "Home", "ArrowRight", "ArrowRight") == 2
    assert notebook.faults == []


def test_file_keeps_picture_and_text(finished: Path) -> None:
    """Whatever the widget needs, the saved file has the still picture and the text beside it, and a page shows them."""
    from nbconvert import HTMLExporter

    value = json.loads(finished.read_text(encoding="utf-8"))
    shown = [output["data"] for output in value["cells"][1]["outputs"] if "data" in output]
    forms = {kind for data in shown for kind in data}
    assert {WIDGET, "image/svg+xml", "text/plain"} <= forms
    del value["metadata"]["widgets"]
    file = finished.with_name("page.ipynb")
    file.write_text(json.dumps(value), encoding="utf-8")

    page, _ = HTMLExporter().from_filename(str(file))

    assert page.count('<div class="jp-RenderedSVG') == 1
    assert "model_id" not in page


def test_reader_with_trust_sees_the_picture(jupyter: Any, finished: Path) -> None:
    """Where only the notebook was saved, the still picture stands in for the widget."""
    notebook = _reopened(jupyter, finished, "trusted.ipynb", state=False, trusted=True)

    cell = notebook.cell(1)
    cell.get_by_text("model not found").or_(cell.locator(".jp-RenderedSVG")).first.wait_for()

    assert cell.locator(".jp-RenderedSVG").is_visible()


@pytest.mark.whole
def test_play_does_not_animate_for_those_who_ask(jupyter: Any, finished: Path) -> None:
    """Under `prefers-reduced-motion` the steps are played with no transition; otherwise there are some."""
    notebook = _reopened(jupyter, finished, "motion.ipynb", state=True, trusted=True)
    notebook.page.evaluate(COUNT_MOTIONS)
    widget = _drawn(notebook, 1)

    def played(motion: str) -> int:
        notebook.page.emulate_media(reduced_motion=motion)
        _press(widget, "Home")
        notebook.page.evaluate(
            "Promise.all(document.getAnimations().map(one => one.finished)).then(() => { window.motions = 0; })"
        )
        widget.get_by_role("button", name="Play", exact=True).click()
        widget.get_by_role("button", name="Pause").wait_for()
        widget.get_by_role("button", name="Play", exact=True).wait_for()  # it stops at the last call
        assert int(widget.locator(".ip-range").input_value()) == 4
        return int(notebook.page.evaluate("window.motions"))

    assert played("reduce") == 0
    assert played("no-preference") > 0

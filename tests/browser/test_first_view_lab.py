"""The first view in a real JupyterLab of 1366 x 768: seen after running a cell, and its change applied to the cell."""

from __future__ import annotations

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
MORE = [f"# {number}\n" + "\n" * 12 for number in range(4)]
COUNT = """\
from ipywidgets.widgets import widget
print(sum(type(one).__name__ == "DiagramWidget" for one in widget._instances.values()), "pictures")"""
IN_SIGHT = """el => {
  const [box, view] = [el.getBoundingClientRect(), el.closest('.jp-WindowedPanel-outer').getBoundingClientRect()];
  return box.top >= view.top - 1 && box.bottom <= view.bottom + 1;
}"""


def seen_at_once(jupyter: Any, keys: str) -> Any:
    """A notebook in a window of 1366 x 768 whose cell was run by some keys, and shows the headline and the change."""
    notebook = jupyter.open(jupyter.write(f"sight{len(keys)}.ipynb", FIRST, CELL, *MORE))
    notebook.page.set_viewport_size({"width": 1366, "height": 768})
    notebook.cell(0).locator(".cm-content").click()
    notebook.page.keyboard.press("Shift+Enter")
    notebook.cell(1).locator(".cm-content").click()

    notebook.page.keyboard.press(keys)

    first = notebook.cell(1).locator(".ip-first")
    first.wait_for()
    notebook.page.wait_for_function(f"el => ({IN_SIGHT})(el)", arg=first.element_handle())
    assert first.bounding_box()["height"] < 420
    return notebook


@pytest.mark.one_of(2)
@pytest.mark.parametrize("keys", ["Shift+Enter", "Control+Enter"])
def test_the_finding_is_in_sight_after_running(jupyter: Any, keys: str) -> None:
    """Whether the next cell is chosen or this one stays: the headline and the change are seen without scrolling."""
    notebook = seen_at_once(jupyter, keys)

    assert notebook.faults == []


def test_a_cell_run_again_leaves_no_widget_behind(jupyter: Any) -> None:
    """Of ten runs of a cell the kernel keeps the last one's widget; another cell keeps its own."""
    notebook = jupyter.open(jupyter.write("models.ipynb", FIRST, CELL, CELL, COUNT))
    notebook.run()
    for _ in range(4):
        notebook.cell(1).locator(".cm-content").click()
        notebook.command("notebook:run-cell")
    notebook.cell(3).locator(".cm-content").click()
    notebook.command("notebook:run-cell")

    notebook.cell(3).get_by_text("2 pictures").wait_for()
    assert notebook.cell(1).locator(".ip-first").count() == 1


@pytest.mark.whole
def test_a_page_loaded_again_does_not_move(jupyter: Any) -> None:
    """Only what was just run is brought into sight."""
    notebook = jupyter.open(
        jupyter.write(
            "again2.ipynb",
            FIRST,
            CELL,
            "import gc; print([w.fresh for w in gc.get_objects() if type(w).__name__ == 'DiagramWidget'])",
        )
    )
    notebook.cell(0).locator(".cm-content").click()
    notebook.run()
    notebook.cell(1).locator(".ip-first").wait_for()
    notebook.cell(2).locator(".cm-content").click()
    notebook.command("notebook:run-cell")

    notebook.cell(2).get_by_text("[False]").wait_for()


def test_the_change_is_applied_to_the_cell_and_undone(jupyter: Any) -> None:
    """The button edits the line in the editor, runs nothing, and the editor's own undo takes it back."""
    notebook = jupyter.open(jupyter.write("apply.ipynb", FIRST, CELL))
    notebook.run()
    cell = notebook.cell(1)
    cell.locator(".ip-first").wait_for()
    editor = cell.locator(".cm-content")
    prompt = cell.locator(".jp-InputPrompt").inner_text()

    cell.get_by_text("Apply to the cell").click()

    assert "g = h.relu()" in editor.inner_text().splitlines()
    assert cell.locator(".jp-InputPrompt").inner_text() == prompt
    editor.click()
    notebook.page.keyboard.press("Control+z")
    assert "g = h.relu_()" in editor.inner_text().splitlines()
    assert notebook.faults == []


def test_the_kernel_draws_more_of_a_graph(jupyter: Any) -> None:
    """A button asks for what was left out; the tab stays open, and fewer nodes are left."""
    code = """%%inplace
x = torch.ones(2, requires_grad=True)
k = h = x.exp()
for _ in range(90):
    k = k.sin() + 1
h.mul_(2)
k.sum().backward()"""
    notebook = jupyter.open(jupyter.write("more.ipynb", FIRST, code))
    notebook.run()
    cell = notebook.cell(1)
    cell.locator(".ip-first").wait_for()
    cell.locator(".ip-tab[data-tab='autograd']").click()
    few = cell.locator(".ip-box").count()

    cell.get_by_text("draw more").click()

    notebook.page.wait_for_function(f"() => document.querySelectorAll('.ip-box').length > {few + 20}")
    assert cell.locator(".ip-tab[data-tab='autograd']").get_attribute("aria-expanded") == "true"
    assert notebook.faults == []


def test_the_worked_example_opens_in_the_next_cell(jupyter: Any) -> None:
    """Below the cell, also where the next one is not empty; nothing is run, and undo takes it back."""
    notebook = jupyter.open(jupyter.write("example.ipynb", FIRST, CELL, "behind = 1"))
    notebook.run()
    cell = notebook.cell(1)
    cell.locator(".ip-first").wait_for()
    cell.locator(".ip-tab[data-tab='evidence']").click()

    cell.get_by_text("Open in the next cell").click()

    cell.get_by_text("It stands in the next cell. Nothing was run.").wait_for()
    assert notebook.count() == 4
    opened = notebook.cell(2)
    lines = opened.locator(".cm-content").inner_text().splitlines()
    assert lines[0] == "%%inplace"
    assert len(lines) > 3
    assert opened.locator(".jp-InputPrompt").inner_text().strip() == "[ ]:"
    assert notebook.cell(3).locator(".cm-content").inner_text().strip() == "behind = 1"
    assert notebook.faults == []


@pytest.mark.whole
def test_a_bar_moves_while_a_recording_is_looked_at(jupyter: Any) -> None:
    """It is seen in the page with several parts done, before the picture is there."""
    often = "from inplace.facts import progress; progress.DELAY = progress._APART = 0.0"
    loop = "%%inplace\nx = torch.ones(2)\nfor _ in range(10_000):\n    x = x.cos()"
    notebook = jupyter.open(jupyter.write("bar.ipynb", f"{FIRST}\n{often}", loop))
    notebook.page.evaluate("""() => {
        window.seen = new Set();
        const look = () => {
            for (const [bar] of document.body.innerText.matchAll(/inplace: .*\\d+%/g)) window.seen.add(bar);
        };
        new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
    }""")

    notebook.run()

    notebook.cell(1).locator(".ip-line-only").wait_for()
    seen = notebook.page.evaluate("[...window.seen]")
    assert len(seen) > 2
    assert "inplace: " not in notebook.cell(1).locator(".jp-OutputArea").inner_text().split("no finding")[0]

"""The HTML page in a real browser: panes are linked, keys work, and the user's text stays text."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from inplace.render.picture.diagram import Diagram, diagram
from inplace.render.picture.layout import MISSING
from inplace.shells.explanation import Explanation
from tests.browser.conftest import Open
from tests.browser.traces import README, big_report, record

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=window.pwned=1>"


@pytest.fixture(scope="module")
def readme() -> Diagram:
    """The picture of the README's cell."""
    return diagram(record(README))


def test_opens_at_the_line_that_did_it(open_page: Open, readme: Diagram) -> None:
    """The first finding's write is chosen, and its line, its node's culprit and its tensor are lit."""
    page = open_page(readme)

    assert page.locator(".ip-line.is-chosen").get_attribute("data-line") == "0:8"
    assert page.locator(".ip-call.is-chosen").get_attribute("data-step") == "5"
    assert page.locator(".ip-references .ip-row.is-written").get_attribute("data-tensor") == "3"
    assert "h.relu_()" in page.locator(".ip-headline h2").inner_text()
    assert page.locator(".ip-broken").count() == 1


def test_choosing_a_line_links_the_panes(open_page: Open, readme: Diagram) -> None:
    """A click on a source line chooses its call, writes its tensors and lights its names."""
    page = open_page(readme)

    page.locator(".ip-line[data-line='0:5']").click()

    assert page.locator(".ip-call.is-chosen").get_attribute("data-step") == "2"
    assert page.locator(".ip-references .ip-row.is-written").get_attribute("data-tensor") == "0"
    assert page.locator(".ip-references .ip-row.is-other").get_attribute("data-tensor") == "1"
    assert page.locator(".ip-references .ip-row.is-other").locator(".ip-cell").all_inner_texts() == ["2\n12", "3\n13"]
    assert "also changes what c reads" in page.locator(".ip-did").inner_text()


def test_choosing_a_node_chooses_its_call(open_page: Open, readme: Diagram) -> None:
    """A click on an autograd node goes to the call that made it."""
    page = open_page(readme)

    page.locator(".ip-box", has_text="Sigmoid").click()

    assert page.locator(".ip-line.is-chosen").get_attribute("data-line") == "0:7"
    assert page.locator(".ip-call.is-chosen").get_attribute("data-step") == "4"


def test_hovering_a_name_in_the_verdict_lights_it(open_page: Open, readme: Diagram) -> None:
    """The pointer over a name in the headline lights what it names, in the source and the graph."""
    page = open_page(readme)

    page.locator(".ip-headline .ip-named", has_text="h").hover()

    assert "0:8" in page.locator(".ip-line.is-related").evaluate_all("rows => rows.map(row => row.dataset.line)")
    assert page.locator(".ip-box.is-related").count() == 2


def test_hovering_a_tensor_lights_its_lines_and_node(open_page: Open, readme: Diagram) -> None:
    """The pointer over a tensor lights the lines that use it and the node that keeps it."""
    page = open_page(readme)

    page.locator(".ip-references .ip-row[data-tensor='3'] .ip-card").hover()

    assert page.locator(".ip-line.is-related").evaluate_all("rows => rows.map(row => row.dataset.line)") == [
        "0:7",
        "0:8",
        "0:9",
    ]
    assert page.locator(".ip-box.is-related").count() == 2


def test_arrow_keys_step_through_the_calls(open_page: Open, readme: Diagram) -> None:
    """Left and right go one call back and on, Home and End to the ends, and versions follow."""
    page = open_page(readme)
    page.locator(".ip-code").focus()

    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")

    assert page.locator(".ip-range").input_value() == "2"
    assert page.locator(".ip-references .ip-row[data-tensor='0'] .ip-badge").inner_text() == "v0 → v1"
    page.keyboard.press("ArrowLeft")
    assert page.locator(".ip-references .ip-row[data-tensor='0'] .ip-badge").inner_text() == "v0"
    page.keyboard.press("End")
    assert "RuntimeError" in page.locator(".ip-did").inner_text()


def test_keys_do_not_reach_the_host(open_page: Open, readme: Diagram) -> None:
    """Keys pressed inside are kept from the notebook around the widget."""
    page = open_page(readme)
    page.evaluate("() => { window.heard = []; document.addEventListener('keydown', event => heard.push(event.key)); }")
    page.locator(".ip-list").focus()

    for key in ("ArrowDown", "n", "a", "Escape"):
        page.keyboard.press(key)

    assert page.evaluate("heard") == []
    suppressing = "[data-lm-suppress-shortcuts]"  # on the whole, and on what has the focus
    assert page.locator(f"{suppressing} .ip-list{suppressing}:focus").count() == 1


def test_scrubbing_shows_what_was_there_then(open_page: Open, readme: Diagram) -> None:
    """Before a tensor is made it is shown as not made yet; before a write its old values are shown."""
    page = open_page(readme)

    page.locator(".ip-range").fill("1")

    assert page.locator(".ip-references .ip-row[data-tensor='0'] .ip-cell").all_inner_texts() == ["1", "2", "3"]
    assert page.locator(".ip-references .ip-row[data-tensor='3'] .ip-badge").inner_text() == "not made yet"


def test_comparing_shows_before_and_after(open_page: Open, readme: Diagram) -> None:
    """The toggle shows old values above new ones, and without it only the new ones."""
    page = open_page(readme)
    page.locator(".ip-line[data-line='0:5']").click()
    cells = page.locator(".ip-references .ip-row[data-tensor='0'] .ip-cell")
    assert cells.all_inner_texts() == ["1\n11", "2\n12", "3\n13"]

    page.locator(".ip-toggle").click()

    assert cells.all_inner_texts() == ["11", "12", "13"]
    assert page.locator(".ip-references .ip-row[data-tensor='0'] .ip-cell.is-changed").count() == 3


def test_search_finds_calls_by_name_line_and_op(open_page: Open, readme: Diagram) -> None:
    """Typing counts the calls found, Enter goes to the next of them."""
    page = open_page(readme)
    box = page.locator(".ip-search")

    box.fill("sigmoid")
    box.press("Enter")
    assert page.locator(".ip-call.is-chosen").get_attribute("data-step") == "4"
    box.fill("line 9")
    assert page.locator(".ip-count").inner_text() == "2 calls"
    box.fill("c")
    assert page.locator(".ip-call.is-found[data-step='1']").count() == 1
    box.fill("nowhere")
    assert page.locator(".ip-count").inner_text() == "no call"


def test_the_worked_example_follows_the_finding(open_page: Open, readme: Diagram) -> None:
    """The example that teaches the finding stands behind its tab, with its code; the next finding has its own."""
    page = open_page(readme)
    page.locator(".ip-tab[data-tab='evidence']").click()
    lesson = page.locator(".ip-lesson")

    assert lesson.locator("h4").inner_text().startswith("Worked example E25")
    assert "torch.sigmoid" in lesson.locator("pre").inner_text()
    assert "`" not in lesson.locator("p").first.inner_text()
    page.keyboard.press("n")

    assert lesson.locator("h4").inner_text().startswith("Worked example E15")
    assert lesson.locator("pre").is_visible()


def test_the_change_is_shown_line_by_line(open_page: Open, readme: Diagram) -> None:
    """What goes out and what comes in stand below each other, marked by signs and not by colour alone."""
    page = open_page(readme)

    minus = "\N{MINUS SIGN}"
    assert page.locator(".ip-diff").inner_text().splitlines() == [f"{minus} g = h.relu_()", "+ g = h.relu()"]


def test_next_finding_tells_another(open_page: Open, readme: Diagram) -> None:
    """`n` tells the next finding and goes to its call, `p` goes back."""
    page = open_page(readme)
    first = page.locator(".ip-headline h2").inner_text()
    page.locator(".ip-list").focus()

    page.keyboard.press("n")

    assert page.locator(".ip-headline h2").inner_text() != first
    assert page.locator(".ip-of").inner_text().startswith("2 of")
    page.keyboard.press("p")
    assert page.locator(".ip-headline h2").inner_text() == first


def test_playing_runs_to_the_end(open_page: Open, readme: Diagram) -> None:
    """Play steps on until the last call and stops there."""
    page = open_page(readme)

    page.locator(".ip-play").click()

    page.wait_for_selector(".ip-call.is-chosen[data-step='7']")
    page.wait_for_selector(".ip-play[aria-label='Play']")


@pytest.mark.parametrize("width", [320, 420, 700, 1000, 1800])
def test_nothing_overflows_at_any_width(open_page: Open, readme: Diagram, width: int) -> None:
    """The page never scrolls sideways, from a phone's side panel to a projector."""
    page = open_page(readme, width=width)

    page.wait_for_selector(".ip-graph[width]")

    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    wide = "els => els.filter(el => el.scrollWidth > el.clientWidth + 1).map(el => el.className)"
    assert (
        page.locator(".ip, .ip-pane, .ip-code, .ip-stores, .ip-list, .ip-first, .ip-excerpt").evaluate_all(wide) == []
    )


def test_theme_follows_the_host(open_page: Open, readme: Diagram) -> None:
    """The system's scheme counts, unless JupyterLab, VS Code or Colab say otherwise."""
    page = open_page(readme, scheme="dark")
    theme = "document.querySelector('.ip').dataset.theme"
    assert page.evaluate(theme) == "dark"

    page.evaluate("document.body.dataset.jpThemeLight = 'true'")
    page.wait_for_selector(".ip[data-theme='light']")
    page.evaluate("delete document.body.dataset.jpThemeLight; document.body.className = 'vscode-light'")
    page.wait_for_selector(".ip[data-theme='light']")
    page.evaluate("document.body.className = ''; document.documentElement.setAttribute('theme', 'light')")
    page.wait_for_selector(".ip[data-theme='light']")
    page.evaluate("document.documentElement.setAttribute('theme', 'dark')")
    page.wait_for_selector(".ip[data-theme='dark']")


def test_hostile_text_stays_text(open_page: Open) -> None:
    """Names, source lines and labels with markup in them are shown as they are, and run nothing."""
    comment = "# </script><script>pwned=1</script> \u2028"
    code = f'import torch\nd["{HOSTILE}"] = torch.ones(2)\nt = d["{HOSTILE}"]  {comment}\nt.add_(1)\n'
    picture = diagram(record(code, file=f"{HOSTILE}</script>.py", d={}))
    page = open_page(picture)
    page.locator(".ip-search").fill(HOSTILE)

    assert page.evaluate("window.pwned") is None
    assert page.locator(".ip img, .ip script").count() == 0
    assert HOSTILE in page.locator(".ip-code").inner_text()
    assert any(HOSTILE in name for name in page.locator(".ip-name").all_inner_texts())


def test_two_pictures_do_not_mix(open_page: Open, readme: Diagram) -> None:
    """Two pictures on one page have their own ids and their own choice."""
    page = open_page(readme, readme)
    page.locator(".ip").first.locator(".ip-line[data-line='0:5']").click()

    chosen = page.locator(".ip-call.is-chosen").evaluate_all("rows => rows.map(row => row.dataset.step)")
    ids = page.locator("[id]").evaluate_all("all => all.map(one => one.id)")

    assert chosen == ["2", "5"]
    assert len(ids) == len(set(ids))


def test_everything_can_be_reached_by_tab(open_page: Open, readme: Diagram) -> None:
    """Each control and each pane is a tab stop with a visible ring."""
    page = open_page(readme)
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent")
        )

    for label in ("Source lines", "Tensors", "Autograd nodes", "Calls", "Step", "Play"):
        assert label in seen
    page.locator(".ip-code").focus()
    page.keyboard.press("ArrowDown")
    assert page.locator(".ip-code").evaluate("el => getComputedStyle(el).outlineStyle") == "solid"


def test_a_hundred_thousand_calls_open_and_scroll(open_page: Open) -> None:
    """A large run keeps only the rows in sight on the page, and each scroll makes a bounded number of them."""
    page = open_page(diagram(big_report()))
    opened = page.evaluate("document.querySelectorAll('*').length")

    page.locator(".ip-calls .ip-link-button").click()
    shown, most = page.evaluate(
        """async () => {
          const list = document.querySelector(".ip-list");
          let made = 0, most = 0;
          const count = (changes) => { for (const change of changes) made += change.addedNodes.length; };
          new MutationObserver(count).observe(list, { childList: true, subtree: true });
          for (let i = 0; i < 60; i += 1) {
            made = 0;
            list.scrollTop = (i / 60) * list.scrollHeight;
            list.dispatchEvent(new Event("scroll"));
            await new Promise(requestAnimationFrame);
            most = Math.max(most, made);
          }
          return [document.querySelectorAll(".ip-call").length, most];
        }"""
    )

    assert opened < 2_000
    assert shown < 120
    assert 0 < most < 120
    page.locator(".ip-list").focus()
    page.keyboard.press("End")
    assert page.locator(".ip-call.is-chosen").count() == 1


BLOCKS = """\
import torch
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(*[nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2), nn.ReLU()) for _ in range(12)])
y = net(torch.ones(1, 2))
y.sum().backward()
"""


def test_calls_of_a_line_fold_by_module(open_page: Open) -> None:
    """A line that calls a model lists its modules; one of them opens to its calls, and a step within opens it too."""
    page = open_page(diagram(record(BLOCKS)))
    rows = page.locator(".ip-fold-module")

    page.locator(".ip-fold-line", has_text="net(torch.ones").click()

    assert rows.locator(".ip-what").all_inner_texts() == [f"net[{number}]" for number in range(12)]
    assert rows.last.locator(".ip-badges").inner_text() == "4 calls"
    rows.last.click()
    calls = page.locator(".ip-fold-module ~ .ip-call:not(.ip-fold)", has_text="net(torch")
    assert calls.locator("b").all_inner_texts() == ["linear", "relu", "linear", "relu"]
    first = next(step for step, call in enumerate(record(BLOCKS).trace.calls) if call.function.label == "relu")
    page.locator(".ip-range").fill(str(first))
    assert page.locator(".ip-call.is-chosen .ip-what").inner_text().startswith("relu")


OWN = """\
import torch
from torch import nn
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(2, 4), nn.Linear(4, 2)
    def forward(self, x):
        h = self.up(x).sigmoid()
        h.mul_(2)
        return x + self.down(h)
net = nn.Sequential(*[Block() for _ in range(6)])
net(torch.ones(1, 2)).sum().backward()
"""


def test_lines_of_a_module_fold_by_its_path(open_page: Open) -> None:
    """Where a module is written in the cell, its lines fold under its path; the finding's module is open."""
    page = open_page(diagram(record(OWN)))

    told = page.locator(".ip-fold-module .ip-what").all_inner_texts()

    assert told == ["net", *[f"net[{number}]" for number in range(6)]]
    assert page.locator(".ip-call.is-chosen .ip-what b").inner_text() == "mul_"
    page.locator(".ip-fold-module", has_text="net").first.click()
    assert page.locator(".ip-fold-module .ip-what").all_inner_texts() == ["net"]


def test_the_memory_curve_says_what_backward_keeps(open_page: Open, readme: Diagram) -> None:
    """Both curves have their peak in words: six tensors of at most 12 bytes, one of which sigmoid keeps."""
    page = open_page(readme)

    assert page.locator(".ip-peak > span").all_inner_texts() == [
        "live bytes, peak 40 B",
        "kept for backward, peak 12 B",
    ]
    assert page.locator("path.ip-kept").count() == 1


def test_code_in_a_sentence_is_code(open_page: Open, readme: Diagram) -> None:
    """The user's code stands out in the headline, in what follows and in the fix."""
    page = open_page(readme)

    assert page.locator(".ip-headline h2 code").all_inner_texts() == ["h.relu_()", "h"]
    assert page.locator(".ip-remedy p", has_text="Fix").locator("code").first.inner_text() == "g = h.relu()"


def test_what_was_measured_is_told(open_page: Open) -> None:
    """Which bytes were saved and which written is told in a line of its own, where they are not the same."""
    code = "import torch\nx = torch.ones(4, requires_grad=True)\nh = x.exp()\nh[1:3].zero_()\nh.sum().backward()\n"
    page = open_page(diagram(record(code)))

    assert (
        "0 to 16 were saved and 4 to 12 written"
        in page.locator(".ip-evidence .ip-sentence", has_text="Seen").inner_text()
    )


def test_a_missing_layout_engine_is_told_in_the_pane(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence stands in place of the graph, and the other panes work as ever."""
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    page = open_page(diagram(record(README)))

    page.locator(".ip-line[data-line='0:5']").click()

    assert page.locator(".ip-autograd .ip-none").inner_text() == MISSING
    assert page.locator(".ip-call.is-chosen").get_attribute("data-step") == "2"


@pytest.mark.parametrize("policy", ["script", "header"])
def test_without_scripts_the_still_picture_is_there(chromium: Any, tmp_path: Path, policy: str) -> None:
    """Where scripts are off or forbidden by the place that shows the page, the still picture and the text are seen."""
    file = tmp_path / "page.html"
    file.write_text(Explanation.of(record(README).trace).to_html(), encoding="utf-8")
    context = chromium.new_context(java_script_enabled=policy != "script")
    page = context.new_page()
    if policy == "header":
        forbidding = {"Content-Security-Policy": "script-src 'none'", "Content-Type": "text/html"}
        page.route("**/*", lambda route: route.fulfill(body=file.read_text(encoding="utf-8"), headers=forbidding))
    page.goto(file.as_uri() if policy == "script" else "http://viewer.invalid/page.html")

    assert page.locator("main svg").is_visible()
    assert "changed h after line 7 saved it" in page.locator("main pre").inner_text()
    context.close()


def test_the_script_takes_the_still_picture_away(chromium: Any, tmp_path: Path) -> None:
    """Where scripts run there is one picture."""
    file = tmp_path / "page.html"
    file.write_text(Explanation.of(record(README).trace).to_html(), encoding="utf-8")
    page = chromium.new_page()
    page.goto(file.as_uri())
    page.wait_for_selector(".ip-call")

    assert page.locator("main > div > *").count() == 1
    page.close()

"""One page for several processes: what they say together first, and the picture of each behind a switch."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from inplace.facts.model import Process
from inplace.render.picture.html import page
from inplace.render.picture.model import Diagram
from inplace.render.words.merged_text import to_text

_STYLE = """
nav[role="tablist"] { display: flex; flex-wrap: wrap; gap: 8px; }
nav[role="tablist"] button { font: inherit; padding: 6px 14px; border-radius: 8px; border: 1px solid #8884;
  background: Canvas; color: CanvasText; cursor: pointer; }
nav[role="tablist"] button[aria-selected="true"] { background: #2f6fde; border-color: #2f6fde; color: #fff; }
[role="tabpanel"][hidden] { display: none; }
pre { margin: 0; padding: 20px; overflow-x: auto; border-radius: 12px; background: Canvas; color: CanvasText;
  font: 13px/1.5 ui-monospace, monospace; }
"""
# A picture is drawn when it is first asked for: it measures the room that it has, and a hidden one has none.
_START = """
const tabs = [...document.querySelectorAll("[role=tab]")];
const drawn = new Set();
function choose(tab) {
  for (const one of tabs) {
    const chosen = one === tab;
    one.setAttribute("aria-selected", chosen);
    one.tabIndex = chosen ? 0 : -1;
    const panel = document.getElementById(one.getAttribute("aria-controls"));
    panel.hidden = !chosen;
    const host = panel.querySelector("[data-inplace]");
    if (chosen && host && !drawn.has(host)) {
      drawn.add(host);
      mount(host, JSON.parse(document.getElementById(host.dataset.inplace).textContent), { tab: "all" });
    }
  }
}
for (const tab of tabs) {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) {
      const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
      choose(next);
      next.focus();
    }
  });
}
choose(tabs[0]);
"""


def ranks_page(value: dict[str, Any], pictured: Sequence[tuple[Process | None, Diagram]]) -> str:
    """The page of a merged public JSON value, and of the processes that can be drawn."""
    names = ["All", *(_name(process) for process, _ in pictured)]
    tabs = "".join(
        f'<button role="tab" id="tab-{number}" aria-controls="panel-{number}">{html.escape(name)}</button>'
        for number, name in enumerate(names)
    )
    first = f"<pre>{html.escape(to_text(value, width=100))}</pre>"
    panels = [first, *(f'<div data-inplace="inplace-{number}"></div>' for number in range(len(pictured)))]
    hosts = "\n".join(
        f'<div role="tabpanel" id="panel-{number}" aria-labelledby="tab-{number}" hidden>{panel}</div>'
        for number, panel in enumerate(panels)
    )
    diagrams = [diagram for _, diagram in pictured]
    title = diagrams[0].title if diagrams else "several processes"
    body = f'<nav role="tablist" aria-label="Ranks">{tabs}</nav>\n{hosts}'
    return page(title, diagrams, body=body, style=_STYLE, start=_START)


def _name(process: Process | None) -> str:
    if process is None:
        return "main"
    return f"rank {process.rank}" if process.rank is not None else f"pid {process.pid}"

"""One page for several processes: what they say together first, and the picture of each behind a switch."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from inplace.facts.model import Process
from inplace.render.picture.html import page
from inplace.render.picture.model import Diagram
from inplace.render.picture.overview import STYLE, name_of, overview

_STYLE = (
    STYLE
    + """
nav[role="tablist"] { display: flex; flex-wrap: wrap; gap: 8px; }
nav[role="tablist"] button { display: flex; gap: 8px; align-items: baseline; padding: 5px 14px; border-radius: 8px;
  border: 1px solid var(--edge); background: var(--bg); color: var(--ink); cursor: pointer;
  font: 14px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
nav[role="tablist"] button small { color: var(--dim); font-size: 12px; }
nav[role="tablist"] button[aria-selected="true"] { border-color: var(--accent); background: var(--accent); }
nav[role="tablist"] button[aria-selected="true"], nav[role="tablist"] button[aria-selected="true"] small {
  color: var(--on-accent); }
nav[role="tablist"] button:focus-visible, .all button:focus-visible { outline: 2px solid var(--accent);
  outline-offset: 2px; }
[role="tabpanel"][hidden] { display: none; }
"""
)
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
    const now = tabs.indexOf(tab);
    const to = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      const next = tabs.at(to % tabs.length);
      choose(next);
      next.focus();
    }
  });
}
for (const button of document.querySelectorAll(".all [data-tab]")) {
  button.addEventListener("click", () => {
    choose(tabs[button.dataset.tab]);
    tabs[button.dataset.tab].focus();
  });
}
choose(tabs[0]);
"""


def ranks_page(value: dict[str, Any], pictured: Sequence[tuple[Process | None, Diagram]]) -> str:
    """The page of a merged public JSON value, and of the processes that can be drawn, in its order of them."""
    order = list(_in_order(value["processes"], [process for process, _ in pictured]))
    names = [f"All <small>{len(value['processes'])}</small>", *(_name(value, number) for number, _ in order)]
    tabs = "".join(
        f'<button role="tab" id="tab-{number}" aria-controls="panel-{number}">{name}</button>'
        for number, name in enumerate(names)
    )
    first = overview(value, {process: tab for tab, (process, _) in enumerate(order, 1)})
    panels = [first, *(f'<div data-inplace="inplace-{number}"></div>' for number in range(len(order)))]
    hosts = "\n".join(
        f'<div role="tabpanel" id="panel-{number}" aria-labelledby="tab-{number}"{" hidden" if number else ""}>'
        f"{panel}</div>"
        for number, panel in enumerate(panels)
    )
    diagrams = [pictured[place][1] for _, place in order]
    title = diagrams[0].title if diagrams else "several processes"
    body = f'<nav role="tablist" aria-label="Processes">{tabs}</nav>\n{hosts}'
    return page(title, diagrams, body=body, style=_STYLE, start=_START)


def _in_order(processes: Sequence[dict[str, Any]], pictured: Sequence[Process | None]) -> Iterator[tuple[int, int]]:
    """The numbers of the processes that are pictured, each with that of its picture; those without a name in turn."""
    places = {_who(asdict(one)): number for number, one in enumerate(pictured) if one is not None}
    nameless = iter([number for number, one in enumerate(pictured) if one is None])
    for number, one in enumerate(processes):
        place = places.get(_who(one), None if one["host"] else next(nameless, None))
        if place is not None:
            yield number, place


def _who(process: dict[str, Any]) -> tuple[object, ...]:
    return process["host"], process["pid"], process["rank"]


def _name(value: dict[str, Any], number: int) -> str:
    """A process and how many errors and warnings it has a part in, as markup."""
    loud = sum(number in one["processes"] for one in value["diagnoses"] if one["severity"] != "info")
    count = f" <small>{loud} found</small>" if loud else ""
    return html.escape(name_of(value["processes"][number])) + count

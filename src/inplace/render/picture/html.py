"""Diagram -> one offline interactive page: the widget's own script and style, and the diagram as data beside them.

Where no script runs (mail previews, viewers of CI artifacts, `script-src 'none'`), the still picture and the text that
stand in the page are seen; the script takes them away.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any

from inplace.render.picture.dark import dark_still
from inplace.render.picture.model import Autograd, Diagram, as_json
from inplace.render.picture.script import script as widget_script
from inplace.render.picture.script import style as widget_style

_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}

# Nothing may be fetched: the page has all it needs in it.
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"

_PAGE_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0; padding: clamp(0px, 2vw, 28px); background: #eef0f3; }
main { max-width: 1440px; margin: 0 auto; display: grid; gap: 24px; }
main > div { min-width: 0; }
main > div > svg { display: block; max-width: 100%; height: auto; }
main > div > pre { overflow: auto; font: 13px/1.5 ui-monospace, monospace; }
@media (prefers-color-scheme: dark) { body { background: #0c0e11; } }
@media print { body { background: none; padding: 0; } }
"""

_STILL = "main > div > svg"

_START = """
const given = { tab: "all" };
for (const host of document.querySelectorAll("[data-inplace]")) {
  const still = host.querySelector(":scope > svg")?.outerHTML;
  host.replaceChildren();
  const read = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "null");
  const data = read(host.dataset.inplace);
  let more;
  const shown = { ...given, still, alone: true, more: document.getElementById("whole") ? () => more() : undefined };
  const board = mount(host, data, shown);
  more = () => {
    const { step, tab } = board.state;
    board.destroy();
    mount(host, { ...data, autograd: read("whole") }, { ...shown, more: undefined, selected: step, tab });
  };
}
"""


def to_html(diagram: Diagram, still: str = "", text: str = "", whole: Autograd | None = None) -> str:
    """A whole HTML page that shows a diagram, with everything in it that it needs.

    `still` (an SVG) and `text` are what is seen of it where no script runs; `whole` is the graph with all its nodes, or
    as many as can be drawn, for who asks for more than the diagram has.
    """
    stand_in = f"{still}<pre>{html.escape(_writable(text))}</pre>" if still else ""
    body = f'<div data-inplace="inplace-0">{stand_in}</div>'
    if whole is not None:
        body += f'\n<script type="application/json" id="whole">{_as_text(as_json(whole))}</script>'
    return page(diagram.title, [diagram], body=body)


def page(title: str, diagrams: Sequence[Diagram], *, body: str = "", style: str = "", start: str = _START) -> str:
    """A whole HTML page that shows several diagrams, below each other if not told otherwise.

    Args:
        title: of the page.
        diagrams: as data, `inplace-0` and so on.
        body: markup with a place for each; empty to have them below each other.
        style: of that markup.
        start: the script that draws them.
    """
    script = widget_script()
    data = "\n".join(
        f'<script type="application/json" id="inplace-{number}">{as_data(one)}</script>'
        for number, one in enumerate(diagrams)
    )
    hosts = body or "\n".join(f'<div data-inplace="inplace-{number}"></div>' for number in range(len(diagrams)))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(_writable(title))} - inplace</title>
<style>{_PAGE_STYLE}{dark_still(_STILL)}{style}{widget_style()}</style>
</head>
<body>
<main>
{hosts}
</main>
{data}
<script type="module">
{script}
{start}</script>
</body>
</html>
"""


def as_data(diagram: Diagram) -> str:
    """A diagram as JSON that no text in it can break out of: no markup, no script end, no line separators."""
    return _as_text(diagram.to_json())


def _as_text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter, escape in _ESCAPES.items():
        text = text.replace(letter, escape)
    return _writable(text)


def _writable(text: str) -> str:
    """Text that can be encoded: a lone surrogate becomes its escape, which JSON reads back."""
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")

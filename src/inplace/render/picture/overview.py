"""What several processes say together, as markup: each finding once, who says it, and what differs between them."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from inplace.render.words.changes import changed_lines_of
from inplace.render.words.merged_text import count_of
from inplace.render.words.processes import tag

Value = dict[str, Any]
_MOST = 40  # things that are information only
_NAMED = 8  # processes of a finding that have a button of their own

STYLE = """
:root { --bg: #fff; --soft: #f5f6f8; --line: #e2e5ea; --edge: #767d88; --ink: #171a20; --dim: #59616e;
  --accent: #2456c7; --on-accent: #fff; --error: #b93a0b; --warning: #8a5700; --on-severity: #fff; --added: #17693f; }
@media (prefers-color-scheme: dark) {
  :root { --bg: #14171c; --soft: #1e232a; --line: #2b313a; --edge: #7d8794; --ink: #e9ecf1; --dim: #a2abb8;
    --accent: #8fb2ff; --on-accent: #101828; --error: #ff9166; --warning: #f0bd5e; --on-severity: #1b0d06;
    --added: #8fd3a8; }
}
.all { display: grid; gap: 16px; color: var(--ink); font: 14px/1.55 system-ui, -apple-system, "Segoe UI", Roboto,
  "Noto Sans", sans-serif; }
.all section { padding: clamp(14px, 2vw, 22px); border: 1px solid var(--line); border-radius: 12px;
  background: var(--bg); }
.all h2 { margin: 10px 0 12px; font-size: 16px; line-height: 1.4; overflow-wrap: anywhere; }
.all h2.plain { margin: 0 0 8px; font-size: 14px; }
.all p { margin: 10px 0 0; overflow-wrap: anywhere; }
.all ul { margin: 0; padding-left: 20px; overflow-wrap: anywhere; }
.all .by { display: flex; flex-wrap: wrap; align-items: center; gap: 8px; margin: 0; color: var(--dim); }
.all .severity { padding: 0 9px; border-radius: 999px; background: var(--error); color: var(--on-severity);
  font-weight: 600; font-size: 12px; line-height: 20px; }
.all .severity.warning { background: var(--warning); }
.all .by button { padding: 1px 9px; border: 1px solid var(--edge); border-radius: 999px; background: none;
  color: var(--ink); font: inherit; font-size: 12px; cursor: pointer; }
.all .by button:hover { border-color: var(--accent); color: var(--accent); }
.all table { width: 100%; border-spacing: 0; border-radius: 8px; background: var(--soft); }
.all caption { padding-bottom: 4px; color: var(--dim); font-size: 12px; text-align: left; }
.all td { padding: 3px 10px; vertical-align: top; }
.all td:first-child { width: 1%; color: var(--dim); font: 12px/1.6 ui-monospace, Menlo, Consolas, monospace;
  text-align: right; }
.all td:last-child { width: 1%; white-space: nowrap; font-size: 12px; font-weight: 600; color: var(--dim); }
.all tr.culprit td:last-child { color: var(--error); }
.all code, .all pre { font: 13px/1.6 ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere;
  white-space: pre-wrap; }
.all tr.culprit code { font-weight: 600; }
.all b { margin-right: 10px; }
.all pre { margin: 8px 0 0; padding: 8px 12px; border-radius: 8px; background: var(--soft); }
.all ins { color: var(--added); text-decoration: none; }
.all del { color: var(--dim); text-decoration: none; }
.all footer { color: var(--dim); }
"""


def overview(value: Value, tabs: Mapping[int, int]) -> str:
    """The merged public JSON value as markup; `tabs` are the numbers of the pictures, by those of their processes."""
    loud = [one for one in value["diagnoses"] if one["severity"] != "info"]
    quiet = [one for one in value["diagnoses"] if one["severity"] == "info"]
    parts = [_card(one, value["processes"], tabs) for one in loud]
    if value["differences"]:
        parts.append(_list("What differs between ranks", [one["message"] for one in value["differences"]]))
    if quiet:
        parts.append(_list("Good to know", _told(quiet, value["processes"])))
    notes = [*([value["reason"]] if value["reason"] else []), *(one["message"] for one in value["not_looked_at"])]
    if notes:
        parts.append(_list("Not seen", notes))
    return f'<div class="all">{"".join(parts)}<footer>{_text(count_of(value))}</footer></div>'


def _card(one: Value, processes: Sequence[Value], tabs: Mapping[int, int]) -> str:
    headline, _, rest = one["message"].partition("\n")
    why = rest.rpartition("\n")[0] or rest
    shown = [number for number in one["processes"] if number in tabs][:_NAMED]
    buttons = "".join(
        f'<button type="button" data-tab="{tabs[number]}">{_text(name_of(processes[number]))}</button>'
        for number in shown
    )
    who = buttons if len(shown) == len(one["processes"]) else f"<span>{_who(one, processes)}</span>{buttons}"
    severity = f'<span class="severity {one["severity"]}">{one["severity"]}</span>'
    return (
        f'<section><p class="by">{severity}<span>{_text(one["kind"])}</span>{who}</p><h2>{_text(headline)}</h2>'
        f"{_places(one)}<p><b>Why</b>{_text(why)}</p>{_fix(one['fix'])}</section>"
    )


def _places(one: Value) -> str:
    marked = [(place, "culprit") for place in one["culprits"]]
    if one["victim"] is not None:
        marked.append((one["victim"], "victim"))
    files: dict[str, list[str]] = {}
    for place, role in sorted(marked, key=lambda row: (row[0]["file"], row[0]["line"], row[0]["col"])):
        code = place["code"].partition("\n")[0]
        row = f"<td>{place['line']}</td><td><code>{_text(code)}</code></td><td>{role}</td>"
        files.setdefault(place["file"], []).append(f'<tr class="{role}">{row}</tr>')
    return "".join(
        f"<table><caption>{_text(Path(file).name)}</caption><tbody>{''.join(rows)}</tbody></table>"
        for file, rows in files.items()
    )


def _fix(fix: Value) -> str:
    change, proof = fix["rewrite"], fix["proof"]
    lines = changed_lines_of(change["old"], change["new"]) if change is not None else ()
    diff = f"<pre>{''.join(map(_changed, lines))}</pre>" if lines else ""
    return f"<p><b>Fix</b>{_text(fix['summary'])}</p>{diff}{f'<p>{_text(proof)}</p>' if proof else ''}"


def _changed(line: str) -> str:
    element = {"+": "ins", "-": "del"}.get(line[:1], "span")
    return f"<{element}>{_text(line)}\n</{element}>"


def _told(quiet: Sequence[Value], processes: Sequence[Value]) -> Iterator[str]:
    for one in quiet[:_MOST]:
        yield f"{tag([processes[number] for number in one['processes']])} {one['message'].partition(chr(10))[0]}"
    if len(quiet) > _MOST:
        yield f"and {len(quiet) - _MOST} more like these"


def _list(title: str, sentences: Iterator[str] | Sequence[str]) -> str:
    items = "".join(f"<li>{_text(sentence)}</li>" for sentence in sentences)
    return f'<section><h2 class="plain">{title}</h2><ul>{items}</ul></section>'


def _who(one: Value, processes: Sequence[Value]) -> str:
    return _text(tag([processes[number] for number in one["processes"]])[1:-1])


def name_of(process: Value) -> str:
    """What a process is called on its tab."""
    if process["rank"] is not None:
        return f"rank {process['rank']}"
    return "main" if process["parent"] is None else f"pid {process['pid']}"


def _text(text: str) -> str:
    return html.escape(text.encode("utf-8", errors="backslashreplace").decode("utf-8"))

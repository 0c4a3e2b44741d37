"""A merged public JSON value as text, for terminals: each finding once, with the ranks that say it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from inplace.render.words.changes import changed_lines_of
from inplace.render.words.counted import let_go_of, number_of
from inplace.render.words.finding_text import MOST_INFO
from inplace.render.words.processes import tag
from inplace.render.words.setting import MARKS, WIDEST, safe, wrapped

Value = dict[str, Any]
_LOUD = frozenset({"collectives", "missing"})  # differences beside which nothing is right


def to_text(value: Value, *, width: int = 88, told: AbstractSet[int] = frozenset()) -> str:
    """A merged report as text: what was found, the worst first, then what differs; the last line counts.

    Args:
        value: the merged public JSON value.
        width: columns that prose is wrapped to.
        told: ranks that have printed their own; what only they say is left out.
    """
    processes = value["processes"]
    diagnoses = [one for one in value["diagnoses"] if not one["ranks"] or not set(one["ranks"]) <= told]
    loud = [one for one in diagnoses if one["severity"] != "info"]
    quiet = [one for one in diagnoses if one["severity"] == "info"]
    blocks = ["\n".join(_block(one, _tag(one, processes), width)) for one in loud]
    if quiet:
        shown = quiet[:MOST_INFO]
        lines = [line for one in shown for line in wrapped("· ", f"{_tag(one, processes)} {_first(one)}", width)]
        more = [f"· and {len(quiet) - len(shown)} more like these"] if len(quiet) > len(shown) else []
        blocks.append("\n".join([*lines, *more]))
    if value["differences"]:
        blocks.append("\n".join(_differing(value["differences"], width)))
    notes = wrapped("note: ", safe(value["reason"]), width) if value["reason"] else []
    notes += [
        line for one in value["not_looked_at"] for line in wrapped("not looked at: ", safe(one["message"]), width)
    ]
    for one in (process for process in processes if "windows" in process):
        let_go = let_go_of(one["windows"]["let_go"], one["windows"]["count"] - 1)
        notes += wrapped("let go of: ", f"{tag([one])} {let_go}", width)
    blocks.append("\n".join([*notes, count_of(value)]))
    return "\n\n".join(blocks)


def _tag(one: Value, processes: Sequence[Value]) -> str:
    return tag([processes[number] for number in one["processes"]])


def _first(one: Value) -> str:
    return safe(one["message"].partition("\n")[0])


def _block(one: Value, who: str, width: int) -> Iterator[str]:
    headline, _, rest = one["message"].partition("\n")
    why = rest.rpartition("\n")[0] or rest
    yield from wrapped(f"{MARKS[one['severity']]} {one['kind']} {who}: ", safe(headline), width)
    yield ""
    yield from _places(one)
    yield ""
    yield from wrapped("  why  ", safe(why), width)
    yield from wrapped("  fix  ", safe(one["fix"]["summary"]), width)
    change = one["fix"]["rewrite"]
    if change is not None:
        yield from (safe(f"       {line}"[:WIDEST]) for line in changed_lines_of(change["old"], change["new"]))
    if one["fix"]["proof"] is not None:
        yield from wrapped("       ", safe(one["fix"]["proof"]), width)


def _places(one: Value) -> Iterator[str]:
    """The code of the places, in order, each below the file it is in."""
    marked = [(place, "^") for place in one["culprits"]]
    if one["victim"] is not None:
        marked.append((one["victim"], "~"))
    last = None
    for place, sign in sorted(marked, key=lambda pair: (pair[0]["file"], pair[0]["line"], pair[0]["col"])):
        if place["file"] != last:
            last = place["file"]
            yield f"  {safe(Path(last).name)}"
        code = safe(place["code"].partition("\n")[0])
        yield f"{place['line']:>5} {sign} {code}"[:WIDEST]


def _differing(differences: Sequence[Value], width: int) -> Iterator[str]:
    yield "what differs between ranks"
    for one in differences:
        yield from wrapped("  · ", safe(one["message"]), width)


def count_of(value: Value) -> str:
    """How many processes and calls there were, and what came of it."""
    processes = value["processes"]
    found = {kind: sum(one["severity"] == kind for one in value["diagnoses"]) for kind in ("error", "warning")}
    verdict = ", ".join(number_of(count, kind) for kind, count in found.items() if count)
    if not verdict:
        error = value["error"]
        nothing = "nothing wrong" if value["complete"] else "nothing wrong in what was recorded"
        verdict = nothing if error is None else f"ended by {error['type']}"
        if error is None and any(one["what"] in _LOUD for one in value["differences"]):
            verdict = "the ranks differ"
    plural = "process" if len(processes) == 1 else "processes"
    return f"{len(processes)} {plural}, {number_of(value['calls'], 'call')}: {verdict}"

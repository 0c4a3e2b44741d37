"""`inplace merge FILES…`: reports of several processes as one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inplace.facts.errors import TraceFormatError
from inplace.shells.terminal.complaint import UNUSABLE, complain

if TYPE_CHECKING:
    from inplace.shells.explanation import Explanation
    from inplace.shells.terminal.outputs import Outputs

_NO_PICTURES = "a page is drawn from traces: give files that were written with --trace."


def merge(files: Sequence[str], outputs: Outputs) -> int:
    """Merge reports or traces, each of one process, and write what was asked for; gives the exit status."""
    values: list[dict[str, Any]] = []
    pictured: list[Explanation] = []
    for file in files:
        try:
            value, found = _read(file)
        except (TraceFormatError, OSError) as error:
            complain(f"{file}: {error}.")
            return UNUSABLE
        values.append(value)
        if found is not None:
            pictured.append(found)
    if outputs.is_drawn and len(pictured) < len(files):
        complain(_NO_PICTURES)
        return UNUSABLE
    outputs.report_merged(values, pictured)
    return 0


def _read(file: str) -> tuple[dict[str, Any], Explanation | None]:
    """The public JSON value of a file, a report or a trace, and what shows the latter.

    Raises:
        TraceFormatError: if it is neither, or a merged report.
        OSError: if it can't be read.
    """
    from inplace.facts.codec import KIND, from_json
    from inplace.shells.explanation import Explanation

    try:
        value = json.loads(Path(file).read_bytes())
    except (ValueError, RecursionError):
        raise TraceFormatError("this is no report of inplace run: it is not JSON") from None
    if isinstance(value, dict) and value.get("kind") == KIND:
        found = Explanation.of(from_json(value))
        return found.to_json(), found
    if not isinstance(value, dict) or value.get("format") != 1 or not value.keys() >= _FIELDS:
        raise TraceFormatError("this is no report of inplace run, nor a trace: write one with --json or --trace")
    if "processes" in value:
        raise TraceFormatError("this report is merged already: give the reports of single processes")
    return value, None


_FIELDS = {"complete", "reason", "error", "calls", "diagnoses", "not_looked_at", "process", "compared"}

"""`inplace merge FILES…`: reports of several processes as one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inplace.facts.errors import TraceFormatError
from inplace.shells.terminal.complaint import UNUSABLE, complain

if TYPE_CHECKING:
    from inplace.facts.model import Trace
    from inplace.shells.terminal.outputs import Outputs

_NO_PICTURES = "a page is drawn from traces: give files that were written with --trace."


def merge(files: Sequence[str], outputs: Outputs) -> int:
    """Merge reports or traces, each of one process, and write what was asked for; gives the exit status."""
    from inplace.facts.model import Trace
    from inplace.reading.ranks.written_elsewhere import told_of_each_other
    from inplace.shells.explanation import Explanation

    read: list[dict[str, Any] | Trace] = []
    try:
        for file in files:
            read.append(_read(file))  # the name of the file that fails is said
    except (TraceFormatError, OSError) as error:
        complain(f"{file}: {error}.")
        return UNUSABLE
    traces = [one for one in read if isinstance(one, Trace)]
    if outputs.is_drawn and len(traces) < len(files):
        complain(_NO_PICTURES)
        return UNUSABLE
    pictured = [Explanation.of(trace) for trace in told_of_each_other(traces)]
    reports = [one for one in read if not isinstance(one, Trace)]
    outputs.report_merged([*reports, *(one.to_json() for one in pictured)], pictured)
    return 0


def _read(file: str) -> dict[str, Any] | Trace:
    """What is in a file: a report, as its public JSON value, or a trace.

    Raises:
        TraceFormatError: if it is neither, or a merged report.
        OSError: if it can't be read.
    """
    from inplace.facts.codec import KIND, from_json

    try:
        value = json.loads(Path(file).read_bytes())
    except (ValueError, RecursionError):
        raise TraceFormatError("this is no report of inplace run: it is not JSON") from None
    if isinstance(value, dict) and value.get("kind") == KIND:
        return from_json(value)
    if not isinstance(value, dict) or value.get("format") != 1 or not value.keys() >= _FIELDS:
        raise TraceFormatError("this is no report of inplace run, nor a trace: write one with --json or --trace")
    if "processes" in value:
        raise TraceFormatError("this report is merged already: give the reports of single processes")
    return value


_FIELDS = {"complete", "reason", "error", "calls", "diagnoses", "not_looked_at", "process", "compared"}

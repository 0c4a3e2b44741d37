"""Record a piece of source text as if it were a cell, for tests that look at what was noted or found."""

from __future__ import annotations

import itertools
import linecache
import textwrap
from dataclasses import dataclass
from typing import Any

import torch

from inplace.capture.record import Recorder
from inplace.checks.report import Report
from inplace.facts.model import Call, Trace
from inplace.fixes.diagnose import analyze

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Recorded:
    """What came of a piece of source: its variables, the exception that ended it, the trace and the report."""

    namespace: dict[str, Any]
    error: BaseException | None
    trace: Trace

    @property
    def report(self) -> Report:
        """The findings."""
        return analyze(self.trace)

    def calls(self, label: str) -> list[Call]:
        """The calls of one function, by the name one writes."""
        return [call for call in self.trace.calls if call.function.label == label]


def record_text(text: str, *, dedented: int = 0, **namespace: Any) -> Recorded:
    """Run `text` (dedented) under the recorder with `torch` in its namespace.

    Where `dedented` is a number of columns, all but its first line runs without them, as marimo runs a cell.
    """
    source = textwrap.dedent(text).strip("\n") + "\n"
    name = f"<cell {next(_numbers)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    variables: dict[str, Any] = {"torch": torch, "nn": torch.nn, "__name__": "cell", **namespace}
    recorder = Recorder(
        title="cell",
        is_cell=lambda file: file == name,
        namespace=variables,
        label=lambda file: "cell" if file == name else None,
    )
    error: BaseException | None = None
    recorder.start()
    try:
        lines = source.splitlines(keepends=True)
        running = "".join(["\n", *(line[dedented:] for line in lines[1:])]) if dedented else source
        exec(compile(running, name, "exec"), variables)
    except BaseException as raised:
        error = raised
    trace = recorder.stop(error)
    if error is not None:
        Recorder.strip(error)
    return Recorded(variables, error, trace)

"""Record a piece of source text in windows, for tests that look at what is found in all of them."""

from __future__ import annotations

import itertools
import linecache
import textwrap
from dataclasses import dataclass, field
from typing import Any

import torch

from inplace.capture.carried import Carried
from inplace.capture.record import Recorder
from inplace.capture.windows import Windows
from inplace.facts.model import Trace
from inplace.shells.explanation import Explanation
from inplace.shells.windows import WindowsSeen

_numbers = itertools.count(1)


@dataclass
class InWindows:
    """What came of it: the variables, the error, the windows' traces, the session at the end, and what is told."""

    names: dict[str, Any]
    error: BaseException | None = None
    windows: list[Trace] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    found: Explanation | None = None

    @property
    def told(self) -> dict[str, Any]:
        """The public JSON of the whole."""
        assert self.found is not None
        return self.found.to_json()

    def lines(self, *severities: str) -> set[tuple[str, tuple[int, ...], int | None]]:
        """Kind, culprit lines and victim line of each finding."""
        return {
            (one["kind"], tuple(place["line"] for place in one["culprits"]), one["victim"] and one["victim"]["line"])
            for one in self.told["diagnoses"]
            if one["severity"] in (severities or ("error", "warning", "info"))
        }


def in_windows(text: str, calls: int, **namespace: Any) -> InWindows:
    """Run `text` (dedented) under a recorder whose windows are so many calls long."""
    source = textwrap.dedent(text).strip("\n") + "\n"
    name = f"<windows {next(_numbers)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    names: dict[str, Any] = {"torch": torch, "nn": torch.nn, "__name__": "windows", **namespace}
    seen, result = WindowsSeen(calls), InWindows(names)

    def told(session: Trace, run: Trace) -> None:
        result.windows.append(run)
        result.kept.append(session.fresh)
        seen.told(session, run)

    recorder = Recorder(
        title="script",
        is_cell=lambda file: file == name,
        namespace=names,
        label=lambda file: "script" if file == name else None,
        earlier=Carried(),
        windows=Windows(calls, told),
    )
    recorder.start()
    try:
        exec(compile(source, name, "exec"), names)
    except BaseException as raised:
        result.error = raised
    run = recorder.stop(result.error)
    if result.error is not None:
        Recorder.strip(result.error)
    session, _ = recorder.session()
    result.windows.append(run)
    result.kept.append(session.fresh)
    result.found = seen.ended(session, run)
    return result

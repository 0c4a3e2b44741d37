"""Record pieces of source text as the cells of one session, each behind the runs before it."""

from __future__ import annotations

import itertools
import linecache
import textwrap
from dataclasses import dataclass
from typing import Any

import torch

from inplace.capture.carried import Carried
from inplace.capture.record import Recorder
from inplace.checks.report import Report
from inplace.facts.model import Trace
from inplace.fixes.diagnose import analyze, analyze_run

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Run:
    """What came of one run of a cell: the exception that ended it, and its trace alone and behind those before it."""

    error: BaseException | None
    alone: Trace
    session: Trace

    @property
    def findings(self) -> Report:
        """What the run shows behind those before it."""
        return analyze(self.session)

    @property
    def report(self) -> Report:
        """What is told below its cell."""
        return analyze_run(self.session, self.alone)

    def told(self, *severities: str) -> list[tuple[str, tuple[str, ...], str | None]]:
        """Kind, culprits and victim of its findings, each line as `In[2]: h.mul_(2)`."""
        return [
            (
                finding.kind,
                tuple(f"{place.label}: {place.code}" for place in finding.culprits),
                None if finding.victim is None else f"{finding.victim.place.label}: {finding.victim.place.code}",
            )
            for finding in self.findings.findings
            if finding.severity in (severities or ("error", "warning"))
        ]


class Session:
    """A session whose cells are recorded."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"torch": torch, "nn": torch.nn, "__name__": "session"}
        self.carried = Carried()
        self.count = 0

    def run(self, text: str) -> Run:
        """Run a cell (dedented) as In[1], In[2] and so on."""
        self.count += 1
        title, name = f"In[{self.count}]", f"<session {next(_numbers)}>"
        source = textwrap.dedent(text).strip("\n") + "\n"
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        self._titles = {**getattr(self, "_titles", {}), name: title}
        recorder = Recorder(
            title=title,
            is_cell=lambda file: file == name,
            namespace=self.names,
            label=self._titles.get,
            earlier=self.carried,
        )
        error: BaseException | None = None
        recorder.start()
        try:
            exec(compile(source, name, "exec"), self.names)
        except BaseException as raised:
            error = raised
        alone = recorder.stop(error)
        session, self.carried = recorder.session()
        return Run(error, alone, session)

    def wait(self, text: str) -> None:
        """Run a cell that is not recorded."""
        exec(textwrap.dedent(text), self.names)


def play(*cells: str) -> list[Run]:
    """The runs of some cells of one session."""
    session = Session()
    return [session.run(cell) for cell in cells]

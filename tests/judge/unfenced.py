"""A judge of programs that are known to be harmless: its replays are forks of this process, which has torch already."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import torch

from inplace.capture.record import Recorder
from inplace.checks.finding import Finding, Proof
from inplace.checks.report import Report
from inplace.fixes.candidate import Look
from inplace.fixes.diagnose import analyze
from inplace.fixes.editing import difference
from inplace.judge.about import About
from inplace.judge.apart import apart
from inplace.judge.fenced import Ended, Fenced
from inplace.judge.judge import Judge, script_start
from inplace.judge.rerun import rerun


class Unfenced(Fenced):
    """Has orders carried out by forks, behind no fence."""

    def __init__(self) -> None:
        super().__init__()
        self._one_by_one = threading.Lock()

    def order(self, folder: Path, module: str, order: Mapping[str, object], answer: str, timeout: float) -> Ended | str:
        """See `Fenced.order`."""

        def replay() -> bool:
            sys.stdout = os.fdopen(1, "w", closefd=False)  # not what captures it for a test
            torch.save(rerun(json.loads(json.dumps(order)), folder), folder / answer)
            return True

        with self._one_by_one:
            ended = apart(replay, folder / "ended")
        return Ended(0, None, None, "") if ended else "the replay ended without an answer"


class UnfencedJudge(Judge):
    """A judge for a test."""

    def __init__(self, path: Path) -> None:
        self.start = script_start(str(path), [str(path)])
        super().__init__(self.start)
        self._fenced = Unfenced()


def reported(path: Path) -> Report:
    """What is found in a script, run in this process."""
    text = path.read_text()
    namespace = {"__name__": "__main__", "__file__": str(path)}
    recorder = Recorder(title=path.name, is_cell=lambda name: name == str(path), namespace=namespace)
    recorder.start()
    error = None
    try:
        exec(compile(text, str(path), "exec"), namespace)
    except Exception as raised:
        error = raised
    return analyze(recorder.stop(error))


def verdict(judge: Judge, report: Report, finding: Finding, path: Path, changed: str) -> Proof:
    """What is said of a finding of a script where the script's text is changed."""
    rewrite = difference(str(path), path.read_text(), changed)
    return judge.verdict(About.of(Look(report.index), finding), (rewrite,))

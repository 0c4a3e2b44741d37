"""Proves fixes: replays the user's code with a rewrite in a process of its own, and compares.

A rewrite is proved where the replay does not raise, our analysis finds nothing wrong with it, and its gradients equal
those of a twin: the code as it is, with every tensor that autograd saves cloned when it is saved
(`torch.autograd.graph.saved_tensors_hooks`), which is what backward was meant to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import decode_source
from pathlib import Path

from inplace.checks.finding import Finding, Proof, Rewrite
from inplace.checks.report import Report
from inplace.fixes.candidate import Look
from inplace.fixes.editing import applied, difference
from inplace.fixes.proposals import proposals
from inplace.judge.compare import ReplayAnswer, compared
from inplace.judge.fenced import Fenced
from inplace.judge.replay import ANSWER
from inplace.judge.start import Start, cell_start, script_start

__all__ = ["Start", "cell_start", "prove", "script_start"]

TIMEOUT = 120.0  # seconds for one replay
_PROVED = 3  # findings for which a proof is looked for
_RUNS = 16  # replays of one report
_AT_ONCE = 4  # writes that one rewrite may have to change


def prove(report: Report, start: Start, *, timeout: float = TIMEOUT) -> Report:
    """The report with a proof, or the lack of one, for each finding that has a rewrite. It closes `start`."""
    try:
        return _proved(report, start, timeout)
    finally:
        start.close()


def _proved(report: Report, start: Start, timeout: float) -> Report:
    index = report.index
    cell = next((source.file for source in reversed(report.trace.sources) if source.is_cell), start.file)
    start = replace(start, file=cell) if start.argv is None else start  # only now is it known how IPython called it
    judge = _Judge(start, timeout)
    found = list(report.findings)
    look = Look(index)
    candidates = {
        number: ways
        for number, finding in enumerate(report.findings)
        if (ways := [one.rewrite for one in proposals(look, finding)])
    }
    tried = list(candidates)[:_PROVED]
    for number in tried:
        found[number] = judge.proved(found[number], candidates[number])
    return replace(report, findings=tuple(found))


class _Judge:
    def __init__(self, start: Start, timeout: float) -> None:
        self._start, self._timeout = start, timeout
        self._twin: ReplayAnswer | str | None = None
        self._left = _RUNS
        self._fenced = Fenced()

    def proved(self, finding: Finding, candidates: Sequence[Rewrite]) -> Finding:
        """A finding with the first rewrite that is proved, else with the first one and why it is not."""
        if self._start.missing:
            name, why = next(iter(self._start.missing.items()))
            return replace(finding, proof=Proof(verified=False, text=f"not proved: {name} {why}."))
        reasons: list[str] = []
        for candidate in candidates:
            rewrite, proof = self._tried(finding, candidate)
            if proof.verified:
                return replace(finding, rewrite=rewrite, proof=proof)
            reasons.append(proof.text)
            if isinstance(self._twin, ReplayAnswer) and self._twin.refused is not None:
                break  # it is the code itself that can't be replayed
        return replace(finding, rewrite=candidates[0], proof=Proof(verified=False, text=reasons[0]))

    def _tried(self, finding: Finding, candidate: Rewrite) -> tuple[Rewrite, Proof]:
        """What a replay with a change shows, or with what it takes besides: one write often hides the next."""
        original = self._text_of(candidate.file)
        if original is None:
            return candidate, Proof(verified=False, text="not proved: its file can't be read.")
        first: Proof | None = None
        rewrite, change = candidate, candidate
        text = original
        for _ in range(_AT_ONCE):
            text = applied(text, change)
            rewrite = rewrite if first is None else difference(candidate.file, original, text)
            answer = self._answer({candidate.file: text})
            proof = compared(finding, answer, self._twin or "no twin")
            if proof.verified:
                return rewrite, proof
            first = first or proof
            if isinstance(answer, str) or answer.refused is not None or answer.following is None or self._left <= 0:
                break
            change = answer.following
            if change.file != candidate.file or change.new == change.old:
                break
        return candidate, first or Proof(verified=False, text="")

    def _answer(self, texts: dict[str, str]) -> ReplayAnswer | str:
        """A run with some texts; the first one is made beside the twin."""
        with ThreadPoolExecutor(2) as pool:
            try:
                twin = None if self._twin is not None else pool.submit(self._run, {}, twin=True)
                answer = self._run(texts, twin=False)
                self._twin = self._twin if twin is None else twin.result()
            except BaseException:  # an interrupt: the pool would wait for the other replay
                self._fenced.stop()
                raise
        return answer

    def _text_of(self, file: str) -> str | None:
        if file == self._start.file:
            return self._start.text
        try:
            return decode_source(Path(file).read_bytes())
        except (OSError, SyntaxError, ValueError):
            return None  # another cell

    def _run(self, texts: dict[str, str], *, twin: bool) -> ReplayAnswer | str:
        """One replay; what came of it, or why nothing did."""
        if self._left <= 0:
            return f"none of {_RUNS} replays proved it"
        self._left -= 1
        folder = Path(self._start.folder.name) / f"run{self._left}"
        folder.mkdir()
        order = {
            "file": self._start.file,
            "texts": {self._start.file: self._start.text, **texts},
            "argv": self._start.argv,
            "twin": twin,
        }
        ended = self._fenced.order(folder, "inplace.judge.replay", order, ANSWER, self._timeout)
        if isinstance(ended, str):
            return ended
        answer = _read(folder / ANSWER)
        if ended.joins_job and answer.raised is not None:
            return f"the code is one process of a job ({ended.joins_job} is set), which a replay does not join"
        return answer if ended.refused is None else replace(answer, refused=ended.refused)


def _read(path: Path) -> ReplayAnswer:
    import torch

    found = torch.load(path, weights_only=True)
    following = found["following"]
    raised = None if found["raised"] is None else (found["raised"][0], found["raised"][1])
    return ReplayAnswer(
        raised,
        None,
        tuple((kind, level) for kind, level in found["findings"]),
        None if following is None else Rewrite(*following),
        *(found[name] for name in ("values", "grads", "other_values", "other_grads", "given", "roots")),
    )

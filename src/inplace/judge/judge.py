"""Proves fixes: replays the user's code with a rewrite in a process of its own, and compares (see `compare.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import decode_source
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any

from inplace.checks.finding import Finding, Proof, Rewrite
from inplace.checks.report import Report
from inplace.facts.progress import Tell, silent
from inplace.fixes.candidate import Look
from inplace.fixes.editing import applied
from inplace.fixes.proposals import proposals
from inplace.judge.about import About, detaches
from inplace.judge.compare import (
    TWIN,
    disproved,
    is_as_whole,
    is_less_of_graph,
    judged,
    other_gradient,
    undecided,
    why_refused,
)
from inplace.judge.differences import RUNS
from inplace.judge.fenced import Fenced, job_variable
from inplace.judge.put_in import PutIn, left_out, put_in
from inplace.judge.redefined import changes_bodies_only
from inplace.judge.replay import ANSWER
from inplace.judge.runs import Answer, ReplayAnswer, Runs
from inplace.judge.start import Start, cell_start, script_start

__all__ = ["Judge", "Start", "cell_start", "prove", "script_start"]

TIMEOUT = 120.0  # seconds for one run of the code
_PROVED = 6  # findings for which a proof is looked for
_RUNS = 40  # replays of one report
_OURS = " This change fitted the recording, so that it does not mend it is a fault of ours: please report it."


def prove(report: Report, start: Start, *, timeout: float = TIMEOUT, tell: Tell = silent) -> Report:
    """The report with a proof, or the lack of one, for each finding that has candidates. It closes `start`.

    `tell` hears how far it is, before each finding and after each replay.
    """
    try:
        return _proved(report, start, timeout, tell)
    finally:
        start.close()


def _proved(report: Report, start: Start, timeout: float, tell: Tell) -> Report:
    cell = next((source.file for source in reversed(report.trace.sources) if source.is_cell), start.file)
    start = replace(start, file=cell) if start.argv is None else start  # only now is it known how IPython called it
    texts = {source.file: source.text for source in report.trace.sources if source.text is not None}
    earlier = texts if start.argv is None else {}
    judge, look = Judge(start, timeout, earlier), Look(report.index)
    found, wanted = list(report.findings), list[tuple[int, list[Rewrite]]]()
    for number, finding in enumerate(found):
        own = [one.rewrite for one in proposals(look, finding)]
        candidates = list(dict.fromkeys([*([finding.rewrite] if finding.rewrite is not None else []), *own]))
        wanted += [(number, candidates)] if candidates else []
    wanted = wanted[:_PROVED]
    for place, (number, candidates) in enumerate(wanted):
        judge.tell = _within(tell, place, len(wanted))
        judge.tell(0)
        found[number] = judge.proved(found[number], About.of(look, found[number]), candidates)
    return replace(report, findings=tuple(found))


def _within(tell: Tell, place: int, count: int) -> Tell:
    return lambda part: tell((place + part) / count)


class Judge:
    """The replays of one script or cell, and what they show."""

    def __init__(
        self, start: Start, timeout: float = TIMEOUT, sources: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._start, self._timeout = start, timeout
        self._earlier = {
            file: text for file, text in sources.items() if file != start.file and not Path(file).is_file()
        }  # cells that ran before
        self._known: dict[tuple[str, int], Answer] = {}  # of the code as it is
        self._of_twin: dict[int, Mapping[str, Any] | str] = {}
        self._left, self._counting = _RUNS, Lock()
        self.tell: Tell = silent
        self._fenced = Fenced()

    def proved(self, finding: Finding, about: About, candidates: Sequence[Rewrite]) -> Finding:
        """A finding with the first rewrite that is proved; else with the one that fits, unless it is disproved."""
        if self._start.missing:
            name, why = next(iter(self._start.missing.items()))
            return replace(finding, proof=undecided(f"{name} {why}"))
        first: Proof | None = None
        for number, candidate in enumerate(candidates):
            self.tell(number / len(candidates))
            proof = self.verdict(about, (candidate,), is_meant=candidate == finding.rewrite and detaches(candidate))
            if proof.verified:
                return replace(finding, rewrite=candidate, basis="replay", proof=proof)
            first = first or proof
            if not proof.disproved and candidate == finding.rewrite:
                break  # it fits, and nothing speaks against it
            if self._is_refused():
                break
        first = first or undecided("there is no change to try")
        if finding.rewrite is None or not first.disproved:
            return replace(finding, proof=first)
        return replace(finding, rewrite=None, basis=None, proof=replace(first, text=first.text + _OURS))

    def _is_refused(self) -> bool:
        """Whether it is the code itself that can't be replayed."""
        return any(isinstance(one, ReplayAnswer) and one.refused is not None for one in self._known.values())

    def verdict(self, about: About, rewrites: tuple[Rewrite, ...], *, is_meant: bool = False) -> Proof:
        """What replays with some rewrites show about a finding.

        Where it `is_meant`, the recording shows that what they take out of the graph is to be out of it.
        """
        texts: dict[str, str] = {}
        for rewrite in sorted(rewrites, key=lambda one: -one.line):
            text = texts.get(rewrite.file) or self._text_of(rewrite.file)
            if text is None:
                return undecided("its file can't be read")
            texts[rewrite.file] = applied(text, rewrite)
        for file, text in texts.items():
            if file in self._earlier and not changes_bodies_only(self._earlier[file], text):
                why = "it changes more of an earlier cell than the bodies of functions, and that cell is not run again"
                return undecided(why)
        runs = self._runs(about, texts)
        refused = why_refused(about, rewrites, runs)
        if refused is not None:
            return refused
        gone = (
            self._left_out(about, rewrites)
            if about.without is None and not is_as_whole(about, rewrites, runs)
            else None
        )
        if gone is not None:
            return undecided(f"gradients are not what they were, and it leaves out {gone}, which may be meant")
        answer = runs.answer
        if not isinstance(answer, ReplayAnswer) or answer.entered <= about.backward:
            return judged(about, rewrites, runs, None)
        parts = [] if is_meant or about.is_flat else self._put_in(about, rewrites, texts)
        found = self._differences(about, texts, put_in=parts)
        proof = judged(about, rewrites, runs, found)
        if proof.verified and (other := other_gradient(about, rewrites, runs)) is not None:
            twin = self._differences_of_twin(about)  # a later backward may be what differs
            if is_less_of_graph(found, twin):
                return disproved(f"{other} is not the same as in {TWIN}, which agrees with finite differences")
        return proof

    def _left_out(self, about: About, rewrites: tuple[Rewrite, ...]) -> str | None:
        """A cut that changes from outside leave out, though nobody blamed it."""
        found = (left_out(about, one, self._text_of(one.file) or "") for one in rewrites if one.cure is None)
        return next((one for one in found if one is not None), None)

    def _put_in(self, about: About, rewrites: tuple[Rewrite, ...], texts: Mapping[str, str]) -> list[PutIn]:
        """The lines whose cuts may be mistakes."""
        files = dict.fromkeys([*texts, *(file for file, *_ in about.blamed)])
        before = {file: text for file in files if (text := self._text_of(file)) is not None}
        return put_in(about, rewrites, before, texts)

    def _runs(self, about: About, texts: dict[str, str]) -> Runs:
        """A run with some texts, beside the twin; and what else they are compared with."""
        with ThreadPoolExecutor(2) as pool:
            try:
                known = pool.submit(self._as_it_is, "twin", about.backward)
                answer = self._answer(texts, "plain", about.backward)
                twin = known.result()
            except BaseException:  # an interrupt: the pool would wait for the other replay
                self._fenced.stop()
                raise
        raised = isinstance(twin, ReplayAnswer) and twin.raised is not None
        values = self._as_let(about) if raised else None
        plain = self._as_it_is("plain", about.backward) if about.is_silent else None
        return Runs(answer, twin, values, plain)

    def _as_it_is(self, mode: str, backward: int) -> Answer:
        """A run of the code as it is, once for each mode."""
        key = mode, backward
        if key not in self._known:
            self._known[key] = self._answer({}, mode, backward)
        return self._known[key]

    def _as_let(self, about: About) -> Answer:
        """A run of the code as it is where nothing is refused; one without autograd where it is a backward that is."""
        allowed = self._as_it_is("allowed", about.backward)
        if isinstance(allowed, ReplayAnswer) and (allowed.raised is None or allowed.entered > about.backward):
            return allowed
        return self._as_it_is("values", about.backward)

    def _text_of(self, file: str) -> str | None:
        if file == self._start.file:
            return self._start.text
        try:
            return decode_source(Path(file).read_bytes())
        except (OSError, SyntaxError, ValueError):
            return self._earlier.get(file)

    def _differences_of_twin(self, about: About) -> Mapping[str, Any] | str:
        if about.backward not in self._of_twin:
            self._of_twin[about.backward] = self._differences(about, {}, copies=True)
        return self._of_twin[about.backward]

    def _differences(
        self, about: About, texts: dict[str, str], *, copies: bool = False, put_in: Sequence[PutIn] = ()
    ) -> Mapping[str, Any] | str:
        more = {"copies": copies, "put_in": [one.to_dict() for one in put_in]}
        found = self._run(texts, "differences", about.backward, more)
        if isinstance(found, str):
            return found
        refused, value = found
        return value if refused is None else f"the code does what a replay may not do ({refused})"

    def _answer(self, texts: dict[str, str], mode: str, backward: int) -> Answer:
        found = self._run(texts, mode, backward)
        if isinstance(found, str):
            return found
        refused, value = found
        raised = None if value["raised"] is None else (value["raised"][0], value["raised"][1])
        if raised is not None and (job := job_variable()) is not None:
            return f"the code is one process of a job ({job} is set), which a replay does not join"
        names = ("values", "grads", "other_values", "other_grads", "given", "roots")
        findings = tuple(map(About.of_dict, value["findings"]))
        known = (value[name] for name in ("entered", "let", "trained", "reached_in_all", "steps", "reached"))
        return ReplayAnswer(raised, refused, findings, *known, *(value[name] for name in names))

    def findings(self) -> tuple[About, ...] | str:
        """What is wrong with the code as it is, found in a replay; or why there is none."""
        answer = self._as_it_is("plain", 0)
        return answer if isinstance(answer, str) else answer.findings

    def _run(
        self, texts: dict[str, str], mode: str, backward: int, more: Mapping[str, Any] = MappingProxyType({})
    ) -> tuple[str | None, dict[str, Any]] | str:
        """One replay; what it was refused and what came of it, or why nothing did."""
        with self._counting:  # a run and its twin begin at once
            if self._left <= 0:
                return f"none of {_RUNS} replays proved it"
            self._left -= 1
            folder = Path(self._start.folder.name) / f"run{self._left}"
        folder.mkdir()
        order = {
            "file": self._start.file,
            "texts": {**self._earlier, self._start.file: self._start.text, **texts},
            "redefined": [file for file in texts if file in self._earlier],
            "argv": self._start.argv,
            "mode": mode,
            "backward": backward,
            **more,
        }
        timeout = self._timeout * (RUNS if mode == "differences" else 1)
        ended = self._fenced.order(folder, "inplace.judge.replay", order, ANSWER, timeout)
        return ended if isinstance(ended, str) else (ended.refused, _read(folder / ANSWER))


def _read(path: Path) -> dict[str, Any]:
    import torch

    found: dict[str, Any] = torch.load(path, weights_only=True)
    return found

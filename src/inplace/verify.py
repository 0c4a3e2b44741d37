"""Proves fixes: replays the user's code with a rewrite in a process of its own, and compares.

A rewrite is proved where the replay does not raise, our analysis finds nothing wrong with it, and its gradients equal
those of a twin: the code as it is, with every tensor that autograd saves cloned when it is saved
(`torch.autograd.graph.saved_tensors_hooks`), which is what backward was meant to read.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cloudpickle

from inplace.analysis.edit import applied
from inplace.analysis.index import Index
from inplace.analysis.report import Finding, Proof, Report, Rewrite
from inplace.analysis.rewrite import rewrites

TIMEOUT = 120.0  # seconds for one replay
_PROVED = 3  # findings for which a proof is looked for
_NAMED = 4
_TWIN = "the same as in a run where every saved tensor is a copy"
_NO_GRADIENT = "proved by a replay: it no longer raises, and nothing else is found."


@dataclass(frozen=True, slots=True)
class Start:
    """What a replay begins from: a script with its arguments, or a cell with copies of what it found.

    `missing` are variables that could not be copied, each with the reason.
    """

    file: str
    text: str
    argv: tuple[str, ...] | None
    folder: tempfile.TemporaryDirectory[str]
    missing: Mapping[str, str]

    def close(self) -> None:
        """Remove the copies."""
        self.folder.cleanup()


@dataclass(frozen=True, slots=True)
class _Answer:
    raised: tuple[str, str] | None
    refused: str | None
    findings: tuple[tuple[str, str], ...]
    grads: Mapping[str, Any]


def script_start(file: str, argv: Sequence[str]) -> Start:
    """The beginning of a script."""
    text = Path(file).read_text(encoding="utf-8")
    return Start(file, text, tuple(argv), tempfile.TemporaryDirectory(prefix="inplace-"), {})


def cell_start(file: str, text: str, namespace: Mapping[str, Any]) -> Start:
    """The beginning of a cell: copies of the variables that it mentions, and the random state."""
    import torch

    folder: tempfile.TemporaryDirectory[str] = tempfile.TemporaryDirectory(prefix="inplace-")
    names = _mentioned(text, namespace)
    missing: dict[str, str] = {}
    kept = {}
    with torch._C.DisableTorchFunction():
        for name in names:
            why = _why_not(namespace[name])
            if why is None:
                kept[name] = namespace[name]
            else:
                missing[name] = why
        torch.save(kept, Path(folder.name) / "start.pt", pickle_module=cloudpickle)
        numpy = sys.modules.get("numpy")
        state = {
            "torch": torch.get_rng_state(),
            "python": random.getstate(),
            "numpy": None if numpy is None else numpy.random.get_state(),
        }
        torch.save(state, Path(folder.name) / "random.pt")
    return Start(file, text, None, folder, missing)


def prove(report: Report, start: Start, *, timeout: float = TIMEOUT) -> Report:
    """The report with a proof, or the lack of one, for each finding that has a rewrite. It closes `start`."""
    try:
        return _proved(report, start, timeout)
    finally:
        start.close()


def _proved(report: Report, start: Start, timeout: float) -> Report:
    index = Index(report.trace)
    cell = next((source.file for source in report.trace.sources if source.is_cell), start.file)
    start = replace(start, file=cell) if start.argv is None else start  # only now is it known how IPython called it
    judge = _Judge(start, timeout)
    found = []
    left = _PROVED
    for finding in report.findings:
        candidates = rewrites(index, finding) if left else ()
        if not candidates:
            found.append(finding)
            continue
        left -= 1
        found.append(judge.proved(finding, candidates))
    return Report(report.trace, tuple(found))


class _Judge:
    def __init__(self, start: Start, timeout: float) -> None:
        self._start, self._timeout = start, timeout
        self._twin: _Answer | str | None = None
        self._count = 0

    def proved(self, finding: Finding, candidates: Sequence[Rewrite]) -> Finding:
        """A finding with the first rewrite that is proved, else with the first one and why it is not."""
        if self._start.missing:
            name, why = next(iter(self._start.missing.items()))
            return replace(finding, proof=Proof(verified=False, text=f"not proved: {name} {why}."))
        reasons: list[str] = []
        for candidate in candidates:
            with ThreadPoolExecutor(2) as pool:
                twin = None if self._twin is not None else pool.submit(self._run, {}, twin=True)
                texts = self._texts(candidate)
                answer = self._run(texts, twin=False) if texts is not None else "its file can't be read"
                self._twin = self._twin if twin is None else twin.result()
            proof = self._compared(finding, answer)
            if proof.verified:
                return replace(finding, rewrite=candidate, proof=proof)
            reasons.append(proof.text)
        return replace(finding, rewrite=candidates[0], proof=Proof(verified=False, text=reasons[0]))

    def _texts(self, rewrite: Rewrite) -> dict[str, str] | None:
        if rewrite.file == self._start.file:
            return {rewrite.file: applied(self._start.text, rewrite)}
        try:
            text = Path(rewrite.file).read_text(encoding="utf-8")
        except OSError:
            return None  # another cell
        return {rewrite.file: applied(text, rewrite)}

    def _run(self, texts: dict[str, str], *, twin: bool) -> _Answer | str:
        """One replay; what came of it, or why nothing did."""
        self._count += 1
        folder = Path(self._start.folder.name) / f"run{self._count}{'t' if twin else ''}"
        folder.mkdir()
        order = {
            "file": self._start.file,
            "texts": {self._start.file: self._start.text, **texts},
            "argv": self._start.argv,
            "path": sys.path,
            "twin": twin,
        }
        (folder / "order.json").write_text(json.dumps(order), encoding="utf-8")
        command = [sys.executable, "-m", "inplace.replay", str(folder / "order.json")]
        try:
            done = subprocess.run(
                command,
                env={**os.environ, "TMPDIR": str(folder), "TORCHINDUCTOR_CACHE_DIR": str(folder)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self._timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"the replay took longer than {self._timeout:g} seconds"
        if not (folder / "answer.pt").exists():
            last = done.stderr.decode(errors="replace").strip().splitlines()
            return f"the replay ended without an answer ({last[-1] if last else done.returncode})"
        return _read(folder / "answer.pt")

    def _compared(self, finding: Finding, answer: _Answer | str) -> Proof:
        if isinstance(answer, str):
            return Proof(verified=False, text=f"not proved: {answer}.")
        if answer.refused is not None:
            return Proof(verified=False, text=f"not proved: the code does what a replay may not do ({answer.refused}).")
        if answer.raised is not None:
            kind, message = answer.raised
            told = message.partition("\n")[0][:120]
            return Proof(verified=False, text=f"not proved: with this change it raises {kind}: {told}")
        if any(kind == finding.kind for kind, _ in answer.findings):
            return Proof(verified=False, text="not proved: with this change the same is found again.")
        twin = self._twin
        if isinstance(twin, str) or twin is None or twin.refused is not None:
            return Proof(verified=False, text="not proved: there is no run to compare the gradients with.")
        if twin.raised is not None or not twin.grads:
            return Proof(verified=True, text=_NO_GRADIENT)
        return _gradients(twin.grads, answer.grads)


def _gradients(twin: Mapping[str, Any], fixed: Mapping[str, Any]) -> Proof:
    both = [name for name in twin if name in fixed]
    for name in both:
        if not _equal(twin[name], fixed[name]):
            return Proof(verified=False, text=f"not proved: it runs, but the gradient of {name} is not {_TWIN}.")
    graded = [name for name in both if twin[name] is not None]
    if not graded:
        return Proof(verified=True, text=_NO_GRADIENT)
    names = ", ".join(graded[:_NAMED]) + (f" and {len(graded) - _NAMED} more" if len(graded) > _NAMED else "")
    told = f"the gradient of {names} is" if len(graded) == 1 else f"the gradients of {names} are"
    return Proof(verified=True, text=f"proved by a replay: nothing raises, and {told} {_TWIN}.")


def _equal(one: Any, two: Any) -> bool:
    """Whether two gradients are equal up to rounding."""
    import torch

    if one is None or two is None:
        return one is two
    return one.shape == two.shape and torch.allclose(one, two, rtol=1e-4, atol=1e-6, equal_nan=True)


def _read(path: Path) -> _Answer | str:
    import torch

    found = torch.load(path, weights_only=True)
    raised = None if found["raised"] is None else (found["raised"][0], found["raised"][1])
    return _Answer(raised, found["refused"], tuple((kind, level) for kind, level in found["findings"]), found["grads"])


# ---------------------------------------------------------------- a cell's variables


def _mentioned(text: str, namespace: Mapping[str, Any]) -> list[str]:
    """The variables that a cell mentions by name; functions bring what they use themselves."""
    import ast

    try:
        tree = ast.parse(text)
    except SyntaxError:
        return []
    names = dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    return [name for name in names if name in namespace]


def _why_not(value: Any) -> str | None:
    """Why a value can't be copied into another process, None where it can."""
    import io

    import torch

    if isinstance(value, torch.Tensor) and value.grad_fn is not None:
        return "carries a graph from an earlier cell, which can't be copied"
    try:
        torch.save(value, io.BytesIO(), pickle_module=cloudpickle)
    except Exception as refused:
        return f"can't be copied into another process ({type(refused).__name__})"
    return None

"""PyTorch is the judge: runs a program under the recorder, its twin without, and says where we disagree."""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterator
from typing import Any

import torch

from inplace.capture.record import Recorder
from inplace.checks.saved_tensor_modified import StaleSave
from inplace.checks.silent_corruption import UnseenWrite
from inplace.facts.model import Trace
from inplace.fixes.diagnose import analyze
from tests.oracle.programs import Program

_WRITES = re.compile(r"(\.\w+_\(|\w_\(|[+*]=|\] =)")


def run(text: str, name: str) -> tuple[dict[str, Any], BaseException | None]:
    """Run a program; give its variables and the exception that ended it."""
    namespace: dict[str, Any] = {"torch": torch, "__name__": "program"}
    return namespace, _executed(text, name, namespace)


def recorded(text: str, name: str, *, thorough: bool = False) -> tuple[dict[str, Any], BaseException | None, Trace]:
    """Run a program under a recorder; give its trace too."""
    namespace: dict[str, Any] = {"torch": torch, "__name__": "program"}
    recorder = Recorder(title=name, is_cell=lambda file: file == name, namespace=namespace, thorough=thorough)
    recorder.start()
    error: BaseException | None = None
    try:
        error = _executed(text, name, namespace)
    finally:
        trace = recorder.stop(error)
    return namespace, error, trace


def _executed(text: str, name: str, namespace: dict[str, Any]) -> BaseException | None:
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    try:
        exec(compile(text, name, "exec"), namespace)
    except Exception as raised:
        return raised
    return None


def disagreements(program: Program) -> Iterator[str]:
    """Where our report and what PyTorch did with a program differ; nothing where it raised before backward."""
    plain, plain_error = run(program.text, "<plain>")
    ours, error, trace = recorded(program.text, "<program>")
    report = analyze(trace)
    if (type(error), str(error)) != (type(plain_error), str(plain_error)):
        yield f"recording changed the error: {plain_error!r} became {error!r}"
        return
    if report.trace.notes:
        yield f"the recorder failed: {report.trace.notes}"
    in_backward = bool(report.trace.calls) and report.trace.calls[-1].function.label == "backward"
    if error is not None and not (in_backward and ours["loss"].requires_grad):
        return  # refused earlier, or nothing to differentiate: not what is judged here
    stale = report.of_type(StaleSave)
    unseen = report.of_type(UnseenWrite)
    if bool(stale) != (error is not None):
        yield f"backward {'raised' if error else 'did not raise'}, but {len(stale)} stale saves were reported"
    if error is not None:
        yield from _culprits(program, stale)
        return
    yield from _gradients(program, plain, ours, unseen)


def _gradients(
    program: Program, plain: dict[str, Any], ours: dict[str, Any], unseen: list[UnseenWrite]
) -> Iterator[str]:
    twin, twin_error = run(program.twin_text, "<twin>")
    if twin_error is not None:
        return
    wrong = False
    for name in program.grads:
        if not _same(plain[name].grad, ours[name].grad):
            yield f"recording changed the gradient of {name}"
        wrong = wrong or not close(plain[name].grad, twin[name].grad)
    if wrong != bool(unseen):
        yield f"the gradient is {'wrong' if wrong else 'right'}, but {len(unseen)} unseen writes were reported"


def _culprits(program: Program, stale: list[StaleSave]) -> Iterator[str]:
    """Undoing every line that is named must make backward pass."""
    named = {place.position.line for finding in stale for place in finding.culprits}
    for line in named:
        if not _WRITES.search(program.lines[line - 1]):
            yield f"line {line} is named as culprit but writes nothing: {program.lines[line - 1]}"
    lines = list(program.lines)
    for number in named:
        lines[number - 1] = "pass"
    _, error = run("\n".join(lines) + "\n", "<repaired>")
    if error is not None and "modified by an inplace operation" in str(error):
        yield f"backward still raises without the named lines {sorted(named)}"


def _same(one: torch.Tensor | None, two: torch.Tensor | None) -> bool:
    if one is None or two is None:
        return one is two
    return torch.equal(one, two) or bool(torch.isnan(one).any())


def close(one: torch.Tensor | None, two: torch.Tensor | None) -> bool:
    """Whether two gradients are equal up to rounding."""
    if one is None or two is None:
        return one is two
    return torch.allclose(one, two, rtol=1e-5, atol=1e-7, equal_nan=True)

"""PyTorch is the judge: runs a program under the recorder, its twin without, and says where we disagree."""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterator
from typing import Any

import torch

from inplace.analysis import analyze
from inplace.analysis.report import Report, StaleSave, UnseenWrite
from inplace.capture.record import Recorder
from tests.oracle.programs import Program

_WRITES = re.compile(r"(\.\w+_\(|\w_\(|[+*]=|\] =)")


def run(text: str, name: str, *, record: bool) -> tuple[dict[str, Any], BaseException | None, Report | None]:
    """Run a program; give its variables, the exception that ended it, and our report if it was recorded."""
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    namespace: dict[str, Any] = {"torch": torch, "__name__": "program"}
    code = compile(text, name, "exec")
    recorder = Recorder(title=name, is_cell=lambda file: file == name, namespace=namespace) if record else None
    error: BaseException | None = None
    if recorder is not None:
        recorder.start()
    try:
        exec(code, namespace)
    except Exception as raised:
        error = raised
    finally:
        trace = recorder.stop(error) if recorder is not None else None
    return namespace, error, analyze(trace) if trace is not None else None


def disagreements(program: Program) -> Iterator[str]:
    """Where our report and what PyTorch did with a program differ; nothing where it raised before backward."""
    plain, plain_error, _ = run(program.text, "<plain>", record=False)
    ours, error, report = run(program.text, "<program>", record=True)
    assert report is not None
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
    twin, twin_error, _ = run(program.twin_text, "<twin>", record=False)
    if twin_error is not None:
        return
    wrong = False
    for name in program.grads:
        if not _same(plain[name].grad, ours[name].grad):
            yield f"recording changed the gradient of {name}"
        wrong = wrong or not _close(plain[name].grad, twin[name].grad)
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
    _, error, _ = run("\n".join(lines) + "\n", "<repaired>", record=False)
    if error is not None and "modified by an inplace operation" in str(error):
        yield f"backward still raises without the named lines {sorted(named)}"


def _same(one: torch.Tensor | None, two: torch.Tensor | None) -> bool:
    if one is None or two is None:
        return one is two
    return torch.equal(one, two) or bool(torch.isnan(one).any())


def _close(one: torch.Tensor | None, two: torch.Tensor | None) -> bool:
    if one is None or two is None:
        return one is two
    return torch.allclose(one, two, rtol=1e-5, atol=1e-7, equal_nan=True)

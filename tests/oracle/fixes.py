"""Changes shown for random programs: with each made nothing raises, no value changes, and the gradient is right."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import torch

from inplace.checks.finding import Cure, Finding
from inplace.fixes.diagnose import analyze
from inplace.fixes.editing import applied
from inplace.judge.differences import differences
from tests.oracle.judge import close, recorded, run
from tests.oracle.programs import Program, random_program

_OTHER_VALUES = frozenset({Cure.FORWARD_AGAIN, Cure.COPY_MADE})  # which mean another loss
_UNRECORDED = re.compile(r"\.data|detach|no_grad|numpy")


def shown(program: Program) -> list[Finding]:
    """The findings of a program for which a change is shown."""
    _, error, trace = recorded(program.text, "<program>")
    at_backward = error is None or (trace.calls and trace.calls[-1].function.label == "backward")
    report = analyze(trace)
    return [one for one in report.findings if one.rewrite is not None] if at_backward else []


def disagreements(seed: int) -> Iterator[str]:
    """What is wrong with the changes that are shown for a program."""
    program = random_program(seed)
    plain, plain_error = run(program.text, "<plain>")
    twin, twin_error = run(program.twin_text, "<twin>")
    for finding in shown(program):
        assert finding.rewrite is not None
        text = applied(program.text, finding.rewrite)
        told = f"{finding.rewrite.cure} ({finding.rewrite.old!r} -> {finding.rewrite.new!r})"
        new, error = run(text, "<mended>")
        if error is not None and plain_error is not None and finding.broken() is None:
            continue  # another fault of the program, which that of this finding does not carry
        if error is not None:
            yield f"{told} raises {error!r}"
            continue
        if finding.rewrite.cure not in _OTHER_VALUES:
            if not close(new["loss"].detach(), plain["loss"].detach()):
                yield f"{told} changes the loss"
            if twin_error is None and not all(close(new[name].grad, twin[name].grad) for name in program.grads):
                yield f"{told} has another gradient than the twin"
        if not _UNRECORDED.search(text):
            yield from _different(told, text)


def _different(told: str, text: str) -> Iterator[str]:
    """Where the gradient of a program with a change made is not that of finite differences."""

    def double() -> Callable[[], None]:
        torch.set_default_dtype(torch.float64)
        return lambda: run_raising(text)

    try:
        found = differences(double, 0)
    finally:
        torch.set_default_dtype(torch.float32)
    if found["agree"] is False:
        yield f"{told} does not agree with finite differences: {found['why']}"


def run_raising(text: str) -> None:
    """Run a program, letting through what it raises."""
    exec(compile(text, "<mended>", "exec"), {"torch": torch, "__name__": "program"})

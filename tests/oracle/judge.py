"""PyTorch is the judge: runs a program under the recorder, its twin without, and says where we disagree."""

from __future__ import annotations

import io
import linecache
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any

import torch

from inplace.capture.record import Recorder
from inplace.checks.finding import Finding
from inplace.checks.saved_tensor_modified import StaleSave
from inplace.checks.silent_corruption import UnseenWrite
from inplace.facts.model import Trace
from inplace.fixes.diagnose import analyze
from tests.oracle.programs import SETTING, Program

_WRITES = re.compile(r"(\.\w+_\(|\w_\(|[+*]=|\] =|\.data =|out=)")


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
    # What the graph has not recorded makes no difference to a twin whose saves are copies: its graph has not either.
    unseen = [one for one in report.of_type(UnseenWrite) if one.how != "unfollowed"]
    if bool(stale) != (error is not None):
        yield f"backward {'raised' if error else 'did not raise'}, but {len(stale)} stale saves were reported"
    if error is not None:
        yield from _writing(program, stale)
        yield from _too_few_or_many(program, stale, _refusing)
        yield from _victim(program, stale)
        return
    wrong = _is_wrong(program)
    if wrong is None:
        return
    for name in program.grads:
        if not _same(plain[name].grad, ours[name].grad):
            yield f"recording changed the gradient of {name}"
    if wrong != bool(unseen):
        yield f"the gradient is {'wrong' if wrong else 'right'}, but {len(unseen)} unseen writes were reported"
    yield from _writing(program, unseen)
    yield from _too_few_or_many(program, unseen, _is_wrong)


def _is_wrong(program: Program) -> bool | None:
    """Whether a gradient of a program is not that of its twin; None where one of them raises."""
    plain, error = run(program.text, "<plain>")
    twin, twin_error = run(program.twin_text, "<twin>")
    if error is not None or twin_error is not None:
        return None
    return not all(close(plain[name].grad, twin[name].grad) for name in program.grads)


def _refusing(program: Program) -> int | None:
    """The line whose node refuses its backward for a saved tensor that was written to, 0 if none does.

    None where the program raises something else. Anomaly mode keeps the traceback of the call that made each node.
    """
    told = io.StringIO()
    with torch.autograd.set_detect_anomaly(mode=True, check_nan=False), warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_: told.write(str(message))  # type: ignore[assignment]
        _, error = run(program.text, "<refused>")
    if error is None:
        return 0
    if "modified by an inplace operation" not in str(error):
        return None
    return int(re.findall(r'"<refused>", line (\d+)', told.getvalue())[-1])


Harm = Callable[[Program], int | None]
"""What is wrong with a program: nothing where it is false, and None where it can't be told."""


def _named(findings: Iterable[Finding]) -> set[int]:
    return {place.position.line for finding in findings for place in finding.culprits}


def _victims(findings: Iterable[Finding]) -> set[int]:
    return {finding.victim.place.position.line for finding in findings if finding.victim is not None}


def _writing(program: Program, findings: Sequence[Finding]) -> Iterator[str]:
    """Every line that is named as a culprit writes."""
    for line in sorted(_named(findings)):
        if not _WRITES.search(program.lines[line - 1]):
            yield f"line {line} is named as culprit but writes nothing: {program.lines[line - 1]}"


def _victim(program: Program, stale: Sequence[StaleSave]) -> Iterator[str]:
    """The first finding's victim is the call whose node PyTorch was in when it raised."""
    victim = stale[0].victim.place.position.line if stale and stale[0].victim is not None else None
    refused = _refusing(program)
    if stale and victim != refused:
        yield f"line {victim} is named as victim, but backward raised in the node of line {refused}"


def _too_few_or_many(program: Program, findings: Sequence[Finding], harm: Harm) -> Iterator[str]:
    """Without the lines that are named nothing is wrong, and none of them is innocent.

    Every culprit is one alone: where all the others are undone, it still does harm. See `_harms_beside` for those that
    depend on others, and `_setting` for those that do harm or none by chance.
    """
    named = _named(findings)
    by_chance = _setting(program) if harm is _is_wrong else set()
    # A call that is said to have spoiled its own save is undone without it, or nothing would be left to be spoiled.
    saving = {line for one in findings for line in _named([one]) & _victims([one])} if harm is _refusing else set()
    undone = named | by_chance if by_chance & named else named
    if harm(program.out_of_place(saving).without(undone - saving)):
        yield f"it is as wrong without the named lines {sorted(named)}"
    for line in sorted(named):
        others = named - {line}
        alone = harm(program.without(others))
        chance = line in by_chance and len(by_chance) > 1
        if alone is not None and not alone and not chance and not _harms_beside(program, findings, line, harm):
            yield f"line {line} is named as culprit, but without {sorted(others)} nothing is wrong"


def _setting(program: Program) -> set[int]:
    """The lines that set an element to a value, which another such line may have given it before, or give it back.

    One that has changed nothing is not to be named, but would do the harm in place of one that is undone. One that
    brings back the saved value has changed what the one before it wrote. (A version counter moves for all of them.)
    """
    return {number for number, line in enumerate(program.lines, start=1) if line.endswith(SETTING)}


def _harms_beside(program: Program, findings: Sequence[Finding], line: int, harm: Harm) -> bool:
    """Whether a line does harm beside some of the others, to the call that it is said to have harmed.

    `a *= b` saves `b`; where it is undone for what it did to `a`, writing `b` does no harm any more, and where `b` is
    over the bytes of `a`, it is itself a culprit. So others are left as they are, or save and don't write; where they
    stay they may also be what leads from the loss to the call that was harmed.
    """
    named = _named(findings)
    victims = _victims(one for one in findings if line in _named([one])) - {line}
    others = sorted(named - {line})
    for left in (left for count in range(1, len(others) + 1) for left in combinations(others, count)):
        undone = named - {*left} - {line}
        saving = (program.out_of_place(left), program.aside(left)) if harm is _refusing else ()
        for one in (program, *saving):
            with_it, without_it = harm(one.without(undone)), harm(one.without({*undone, line}))
            if with_it and with_it != without_it and victims and (harm is _is_wrong or with_it in victims):
                return True
    return False


def _same(one: torch.Tensor | None, two: torch.Tensor | None) -> bool:
    if one is None or two is None:
        return one is two
    return torch.equal(one, two) or bool(torch.isnan(one).any())


def close(one: torch.Tensor | None, two: torch.Tensor | None) -> bool:
    """Whether two gradients are equal up to rounding."""
    if one is None or two is None:
        return one is two
    return torch.allclose(one, two, rtol=1e-5, atol=1e-7, equal_nan=True)

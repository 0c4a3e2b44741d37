"""What two runs show about a rewrite: the run with it, and the twin, in which every save is a copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from inplace.checks.finding import Finding, Proof, Rewrite

_NAMED = 4
_TOLD = 120  # characters of an exception's message
_TWIN = "the same as in a run where every saved tensor is a copy"
_NOT_RUN = "the code can't run as it is, so there is no gradient to compare with"
_NO_GRADIENT = "there is no gradient to compare"


@dataclass(frozen=True, slots=True)
class ReplayAnswer:
    """What came of one replay.

    Attributes:
        raised: type and message of the exception that ended it.
        refused: what it did that a replay may not do.
        findings: kind and severity of what the analysis found in it.
        following: a change that may mend the worst of that.
        values: the tensors that the code's variables reach at the end, by name.
        grads: the gradients of those that are leaves.
        other_values: leaves, parameters and buffers without a name, in the order they were met.
        other_grads: the gradients of these.
        given: what `autograd.grad` gave out.
        roots: what backwards were called on.
    """

    raised: tuple[str, str] | None
    refused: str | None
    findings: tuple[tuple[str, str], ...]
    following: Rewrite | None
    values: Mapping[str, Any]
    grads: Mapping[str, Any]
    other_values: Sequence[Any]
    other_grads: Sequence[Any]
    given: Sequence[Any]
    roots: Sequence[Any]


def compared(finding: Finding, answer: ReplayAnswer | str, twin: ReplayAnswer | str) -> Proof:
    """Whether a run with a rewrite made proves that it mends a finding.

    Args:
        finding: what is to be mended.
        answer: the run with the rewrite, or why there is none.
        twin: the run in which every save is a copy, or why there is none.
    """
    if isinstance(answer, str):
        return _not(answer)
    if answer.refused is not None:
        return _not(f"the code does what a replay may not do ({answer.refused})")
    if answer.raised is not None:
        kind, message = answer.raised
        return _not(f"with this change it raises {kind}: {message.partition(chr(10))[0][:_TOLD].rstrip('.')}")
    if any(kind == finding.kind for kind, _ in answer.findings):
        return _not("with this change the same is found again")
    if isinstance(twin, str) or twin.refused is not None:
        return _not("there is no run to compare the gradients with")
    without = finding.without_gradient()
    ended = finding.names if without is not None else ()
    lost = next((name for name in twin.grads if name not in answer.grads and name not in ended), None)
    if lost is not None:
        return _not(f"with this change {lost} is no longer a leaf that requires grad")
    if twin.raised is not None:
        return _not_compared("it no longer raises", _NOT_RUN)
    if without is not None:
        return _mended(without, finding.names, answer, twin)
    different = _different_gradient(answer, twin)
    if different is not None:
        return _not(f"it runs, but {different}")
    # Only a write that came after the save leaves the values of the forward as they were meant.
    changed = _changed(answer, twin) if finding.keeps_values else None
    if changed is not None:  # a step moved behind the next backward uses that one's gradients as well
        return _not(f"it runs with the same gradients, but {changed} ends with another value")
    return _proved(twin)


def _not(why: str) -> Proof:
    return Proof(verified=False, text=f"not proved: {why}.")


def _not_compared(what: str, why: str) -> Proof:
    text = f"proved by a replay: {what}, and nothing else is found; {why}."
    return Proof(verified=True, text=text, gradients=False)


def _different_gradient(answer: ReplayAnswer, twin: ReplayAnswer) -> str | None:
    for name, gradient in twin.grads.items():
        if not _equal(gradient, answer.grads[name]):
            return f"the gradient of {name} is not {_TWIN}"
    if not _all_equal(twin.other_grads, answer.other_grads):
        return f"the gradient of a leaf without a name is not {_TWIN}"
    if not _all_equal(twin.given, answer.given):
        return f"what autograd.grad gives is not {_TWIN}"
    return None


def _changed(answer: ReplayAnswer, twin: ReplayAnswer) -> str | None:
    for name, value in twin.values.items():
        if name in answer.values and not _equal(value, answer.values[name]):
            return name
    if not _all_equal(twin.other_values, answer.other_values):
        return "a tensor without a name"
    return None if _all_equal(twin.roots, answer.roots) else "what backward is called on"


def _mended(lost: Sequence[str], names: Sequence[str], answer: ReplayAnswer, twin: ReplayAnswer) -> Proof:
    """A twin has the cut as well: what had no gradient has one now, and the others are as they were.

    Others of the path may have gained one, and what was a leaf only because the path ended there has none any more.
    """
    without = [name for name in twin.grads if name in lost and twin.grads[name] is None]
    for name, gradient in twin.grads.items():
        if name in without and answer.grads.get(name) is None:
            return _not(f"with this change {name} still gets no gradient")
        gained, ended = gradient is None, answer.grads.get(name) is None and name in names
        if name not in without and not gained and not ended and not _equal(gradient, answer.grads[name]):
            return _not(f"it runs, but the gradient of {name} is not what it was")
    if not without:
        return _not("no variable tells whether the gradient arrives")
    text = f"proved by a replay: {_listed(without)} {'gets' if len(without) == 1 else 'get'} a gradient"
    others = any(gradient is not None for gradient in twin.grads.values())
    return Proof(verified=True, text=text + (", and the others are as before." if others else "."), gradients=False)


def _proved(twin: ReplayAnswer) -> Proof:
    graded = [name for name, gradient in twin.grads.items() if gradient is not None]
    others = sum(gradient is not None for gradient in twin.other_grads)
    if not graded and not others and not any(gradient is not None for gradient in twin.given):
        return _not_compared("what was found is gone", _NO_GRADIENT)
    parts = [_listed(graded)] if graded else []
    parts += [f"{others} {'leaf' if others == 1 else 'leaves'} without a name"] if others else []
    if not parts:
        told = f"what autograd.grad gives is {_TWIN}"
    elif len(graded) + others == 1:
        told = f"the gradient of {parts[0]} is {_TWIN}"
    else:
        told = f"the gradients of {' and of '.join(parts)} are {_TWIN}"
    return Proof(verified=True, text=f"proved by a replay: nothing raises, and {told}.", gradients=True)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _all_equal(ones: Sequence[Any], twos: Sequence[Any]) -> bool:
    return len(ones) == len(twos) and all(map(_equal, ones, twos))


def _equal(one: Any, two: Any) -> bool:
    """Whether two gradients are equal as `torch.testing.assert_close` has it."""
    if one is None or two is None:
        return one is two
    try:
        torch.testing.assert_close(one, two, equal_nan=True)
    except AssertionError:
        return False
    return True

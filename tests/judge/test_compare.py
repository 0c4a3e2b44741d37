"""What two runs prove: each difference that there may be between them is enough to prove nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from inplace.checks.saved_tensor_modified import StaleSave
from inplace.judge.compare import ReplayAnswer, compared
from tests.recording import record_text

ONES, TWOS = torch.ones(2), torch.full((2,), 2.0)
RUN = ReplayAnswer(
    raised=None,
    refused=None,
    findings=(),
    following=None,
    values={"x": ONES},
    grads={"x": TWOS},
    other_values=[ONES],
    other_grads=[TWOS],
    given=[ONES],
    roots=[ONES],
)


@pytest.fixture(scope="module")
def finding() -> StaleSave:
    """What is to be mended."""
    text = "x = torch.ones(2, requires_grad=True)\ny = torch.exp(x)\ny.add_(1)\ny.sum().backward()"
    return record_text(text).report.of_type(StaleSave)[0]


def test_equal_runs_prove_it(finding: StaleSave) -> None:
    """Nothing raises, nothing is found, and all that was compared is equal."""
    proof = compared(finding, RUN, RUN)

    assert (proof.verified, proof.gradients) == (True, True)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"raised": ("ValueError", "oh")}, "it raises ValueError: oh"),
        ({"refused": "open /etc/passwd"}, "what a replay may not do"),
        ({"findings": (("saved-tensor-modified", "error"),)}, "the same is found again"),
        ({"grads": {}}, "x is no longer a leaf"),
        ({"grads": {"x": ONES}}, "the gradient of x is not"),
        ({"grads": {"x": None}}, "the gradient of x is not"),
        ({"other_grads": [ONES]}, "a leaf without a name"),
        ({"other_grads": []}, "a leaf without a name"),
        ({"other_grads": [TWOS, TWOS]}, "a leaf without a name"),
        ({"given": [TWOS]}, "what autograd.grad gives"),
        ({"given": [ONES, ONES]}, "what autograd.grad gives"),
        ({"values": {"x": TWOS}}, "x ends with another value"),
        ({"other_values": [TWOS]}, "a tensor without a name ends with another value"),
        ({"roots": [TWOS]}, "what backward is called on ends with another value"),
        ({"roots": []}, "what backward is called on ends with another value"),
    ],
)
def test_a_difference_proves_nothing(changed: dict[str, Any], said: str, finding: StaleSave) -> None:
    """And it is said which."""
    proof = compared(finding, replace(RUN, **changed), RUN)

    assert not proof.verified
    assert said in proof.text


def test_without_a_run_nothing_is_proved(finding: StaleSave) -> None:
    """Neither with the change, nor to compare it with."""
    assert not compared(finding, "it took too long", RUN).verified
    assert not compared(finding, RUN, "it took too long").verified
    assert not compared(finding, RUN, replace(RUN, refused="os.fork")).verified


def test_where_the_code_raises_as_it_is_the_gradients_are_not_compared(finding: StaleSave) -> None:
    """That it no longer does is what is proved then."""
    proof = compared(finding, replace(RUN, grads={"x": ONES}), replace(RUN, raised=("RuntimeError", "oh")))

    assert (proof.verified, proof.gradients) == (True, False)

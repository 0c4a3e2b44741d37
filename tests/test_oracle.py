"""PyTorch is the judge: on random programs we say "raises" and "silently wrong" exactly when it is so."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle.judge import disagreements
from tests.oracle.programs import Program, random_program

# Seeds that once failed, and what they showed:
# 185, 1767  a write through .data whose effect on the saved values is undone before backward
# 564, 577   a tensor and its .data go into one call: which of the two was saved
# 566        the call that saves an alias writes its bytes itself
# 1811       reading grad_fn or is_leaf of a view changed what PyTorch does with it
# 2071, 2883 what an in-place call on a view saves is hidden inside CopySlices
KEPT = [185, 564, 566, 577, 606, 1767, 1811, 2071, 2141, 2770, 2883]


@pytest.mark.parametrize("seed", KEPT)
def test_programs_that_once_failed(seed: int) -> None:
    """No program on which we once disagreed with PyTorch does so again."""
    assert list(disagreements(random_program(seed))) == []


@settings(max_examples=300, deadline=None, derandomize=True)
@given(seed=st.integers(min_value=20_000, max_value=10_000_000), length=st.integers(min_value=3, max_value=12))
def test_random_programs(seed: int, length: int) -> None:
    """Stale saves are reported if and only if backward raises, unseen writes if and only if the gradient is wrong."""
    assert list(disagreements(random_program(seed, length))) == []


def test_the_judge_can_disagree(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a recorder that overlooks stale saves, the judge finds a disagreement on a program that raises."""
    monkeypatch.setattr("inplace.analysis.CHECKS", ())
    program = Program(grads=["x"])
    for line in ("x = torch.ones(4, requires_grad=True)", "h = torch.sigmoid(x)", "h.add_(1)", "loss = h.sum()"):
        program.add(line)
    program.add("loss.backward()")

    found = list(disagreements(program))

    assert any("0 stale saves" in reason for reason in found)

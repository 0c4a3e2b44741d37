"""PyTorch is the judge: on random programs we say "raises" and "silently wrong" exactly when it is so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle.judge import disagreements
from tests.oracle.programs import Program, random_program
from tests.recording import record_text

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


LEAN, ALWAYS = 0, 1_000_000


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(min_value=20_000, max_value=10_000_000))
def test_lines_that_ran_many_times(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Of them storages are not asked for and values not read; the rest is noted as ever."""
    program = random_program(seed)
    monkeypatch.setattr("inplace.capture.calls.Calls.detailed", LEAN)
    assert list(disagreements(program)) == []
    lean = noted(program.text)
    monkeypatch.setattr("inplace.capture.calls.Calls.detailed", ALWAYS)
    assert lean == noted(program.text)


@pytest.mark.parametrize(
    "text",
    [
        "y = torch.exp(torch.exp(x)).sum()\ny.backward()",  # what a node saved outlives the tensor
        "for _ in range(3):\n    z = torch.sigmoid(x * 2).exp()\nz.sum().backward()",
        "y = torch.exp(x.detach())\ny.resize_(10_000)\nz = y[0]\nz.add_(1)",  # its memory moves
        "y = torch.exp(x.detach())\nz = torch.from_numpy(y.numpy())\nz.add_(1)",
        "y = torch.exp(x.detach())\nw = torch.nn.Parameter(y)\ny.add_(1)",  # an alias that no call has made
        "y = torch.exp(x)\ntorch.exp(x, out=y.data)",
        "y = torch.stack([x, x]).max(0)\nz = y.values[1:]",
    ],
)
def test_lines_that_ran_many_times_in_words(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What the random programs don't do: tensors without a name, moved memory, aliases that others make."""
    found = []
    for detailed in (LEAN, ALWAYS):
        monkeypatch.setattr("inplace.capture.calls.Calls.detailed", detailed)
        found.append(noted("x = torch.ones(4, requires_grad=True)\n" + text))
    assert found[0] == found[1]


def noted(text: str) -> tuple[Any, ...]:
    """What was noted of a program, but for values and the numbers of nodes, states and storages."""
    trace = record_text(text).trace
    numbers: dict[int | None, int | None] = {None: None}
    for state in sorted(trace.states, key=lambda state: state.tensor):  # stable: those of one tensor stay in order
        numbers.setdefault(state.storage, len(numbers))
    states = [
        replace(state, storage=numbers[state.storage], node=None if state.node is None else 0, values=None)
        for state in trace.states
    ]
    saved = [[(one.name, one.tensor, numbers[one.storage]) for one in node.saved] for node in trace.nodes]
    storages = {numbers[one.id]: replace(one, id=0) for one in trace.storages}
    given = [[(one.path, states[one.before], states[one.after]) for one in call.inputs] for call in trace.calls]
    made = [[states[number] for number in call.outputs] for call in trace.calls]
    of_tensors = sorted(states, key=lambda state: state.tensor)
    allocated = [call.allocated for call in trace.calls]
    return of_tensors, saved, trace.tensors, storages, given, made, allocated, trace.notes


def test_the_judge_can_disagree(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a recorder that overlooks stale saves, the judge finds a disagreement on a program that raises."""
    monkeypatch.setattr("inplace.analysis.CHECKS", ())
    program = Program(grads=["x"])
    for line in ("x = torch.ones(4, requires_grad=True)", "h = torch.sigmoid(x)", "h.add_(1)", "loss = h.sum()"):
        program.add(line)
    program.add("loss.backward()")

    found = list(disagreements(program))

    assert any("0 stale saves" in reason for reason in found)

"""The states in which tensors are noted: their memory, their node, and for the first times of a line their values."""

from __future__ import annotations

import pytest

from inplace.capture.calls.call_notes import DETAILED
from tests.recording import record_text


@pytest.mark.parametrize(
    ("line", "label"), [("y = x * 2", "mul"), ("x.add_(1)", "add_"), ("torch.exp(x, out=x)", "exp")]
)
def test_a_line_that_runs_often_is_read_with_values_a_few_times(line: str, label: str) -> None:
    """Values are for people, who look at the first rounds of a loop."""
    trace = record_text(f"x = torch.ones(3)\nfor _ in range(20):\n    {line}").trace

    outputs = [trace.states[call.outputs[0]] for call in trace.calls if call.function.label == label]
    read = [state.values is not None for state in outputs]
    assert read == [True] * DETAILED + [False] * (20 - DETAILED)


def test_a_tensor_that_was_given_other_memory_unseen_is_read_anew() -> None:
    """Its version is as it was, but it is over other bytes."""
    text = """
    y = torch.ones(3) * 1
    z = torch.zeros(3) * 1
    with torch._C.DisableTorchFunction():
        y.data = z
    w = y * 2
    """
    trace = record_text(text).trace

    other, last = trace.calls[-2], trace.calls[-1]
    assert trace.states[last.inputs[0].before].storage == trace.states[other.outputs[0]].storage


@pytest.mark.parametrize(
    "call",
    [
        "x * 2",  # one node
        "torch.matmul(torch.ones(2, 1, 4), x[:, None])",  # several: the result's is the last
        "torch.nn.functional.softplus(x).view(2, 2)",
        "x.var(0)",
        "torch.stack([x, x]).max(0).values",
    ],
)
@pytest.mark.parametrize("times", [1, 8])
def test_the_node_of_a_result_is_its_own(call: str, times: int) -> None:
    """However many nodes a call has made, and whether or not we asked the tensor for it."""
    text = f"x = torch.ones(4, requires_grad=True)\nfor _ in range({times}):\n    y = {call}"
    ran = record_text(text)

    node = ran.namespace["y"].grad_fn._sequence_nr()
    assert ran.trace.states[ran.trace.calls[-1].outputs[0]].node == node

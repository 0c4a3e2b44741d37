"""What backward adds to a gradient in hand is noted as a write of its line."""

from __future__ import annotations

import pytest

from inplace.checks.saved_tensor_modified import StaleSave
from inplace.facts.gradients import ACCUMULATED
from tests.recording import Recorded, record_text

KEPT = "x = torch.ones(3, requires_grad=True)\n(x * x).sum().backward()\ng = x.grad\n"


def added(recorded: Recorded) -> list[int]:
    """The line of each addition to one gradient whose version counter it moved."""
    trace = recorded.trace
    return [
        trace.sites[call.stack.frames[0].site].position.line
        for call in trace.calls
        if call.function.name == ACCUMULATED
        for argument in trace.writes(call)
        if trace.states[argument.before].version != trace.states[argument.after].version
    ]


NOTED = {
    "twice": (KEPT + "(x * 2).sum().backward()\n(x * 2).sum().backward()", [4, 5]),
    "by the function": (KEPT + "torch.autograd.backward((x * 2).sum())", [4]),
    "let go": (KEPT + "x.grad = None\n(x * 2).sum().backward()", []),
    "by grad": (KEPT + "torch.autograd.grad((x * 2).sum(), x)", []),
    "dropped": (KEPT + "g.add_(1)\ng = None\nx.grad = None\n(x * 2).sum().backward()", []),
    "after a write": (KEPT + "g.add_(1)\n(x * 2).sum().backward()", [5]),
    "put there": ("x = torch.ones(3, requires_grad=True)\nx.grad = torch.ones(3)\n(x * 2).sum().backward()", [3]),
    "nobody looks": ("x = torch.ones(3, requires_grad=True)\nfor _ in range(2):\n    (x * 2).sum().backward()", []),
    "of two leaves": (KEPT + "y = torch.ones(3, requires_grad=True)\ny.grad = g\n(x + y).sum().backward()", [6]),
}


@pytest.mark.parametrize("name", NOTED)
def test_additions_are_noted(name: str) -> None:
    """Of the gradients that the code has read or put there, by the line that went backward."""
    text, lines = NOTED[name]
    assert added(record_text(text)) == lines


def test_a_save_of_a_gradient_that_is_added_to() -> None:
    """The culprit is the backward between; that one which raises has added to nothing."""
    recorded = record_text(
        KEPT + "w = torch.ones(3, requires_grad=True)\nloss = (g * w).sum()\n(x * 3).sum().backward()\nloss.backward()"
    )

    (stale,) = [one for one in recorded.report.findings if isinstance(one, StaleSave)]
    assert [place.position.line for place in stale.culprits] == [6]
    assert "modified by an inplace operation" in str(recorded.error)
    assert added(recorded) == [6]


def test_a_backward_within_another() -> None:
    """What the inner one adds is noted once, for its own line."""
    recorded = record_text(
        KEPT + "y = torch.ones(3, requires_grad=True)\ny.sum().backward()\nk = y.grad\n"
        "def inner(grad):\n    with torch.enable_grad():\n        (y * 2).sum().backward()\n"
        "h = x * 2\nh.register_hook(inner)\nh.sum().backward()\nprint(k, g)"
    )

    assert sorted(added(recorded)) == [9, 12]

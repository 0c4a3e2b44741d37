"""Backward through a graph that an earlier backward has freed: both lines, and the tensor that is shared."""

from __future__ import annotations

import pytest

from inplace.checks.freed_graph import FreedGraph
from inplace.render.words.telling import message
from tests.recording import record_text

W = "w = torch.ones(2, requires_grad=True)\n"
# Code, the lines of the culprits, the line that raised, and the name of what is shared.
TWICE = {
    "the same loss": (
        W + "loss = w.exp().sum()\nloss.backward()\nloss.backward()",
        {3, 2},
        4,
        "loss",
    ),
    "two losses of one tensor": (
        W + "h = w.exp()\na = h.sum()\nb = h.pow(2).sum()\na.backward()\nb.backward()",
        {5, 2},
        6,
        "h",
    ),
    "carried over from turn to turn": (
        W + "state = torch.zeros(2)\nfor _ in range(2):\n    state = torch.tanh(state + w)\n    state.sum().backward()",
        {4, 5},
        5,
        "state",
    ),
    "a sum of losses": (
        W + "total = 0\nfor _ in range(2):\n    total = total + w.exp().sum()\n    total.backward()",
        {4, 5},
        5,
        "total",
    ),
    "made before the loop": (
        W + "features = w.exp()\nfor _ in range(3):\n    (features * 2).sum().backward()",
        {2, 4},
        4,
        "features",
    ),
    "in functions": (
        "def forward(w):\n    return w.sigmoid()\ndef step(h):\n    h.sum().backward()\n"
        + W
        + "h = forward(w)\nstep(h)\nstep(h)",
        {4, 2, 6, 7},
        4,
        "h",
    ),
    "torch.autograd.grad first": (
        W + "h = w.exp()\ntorch.autograd.grad(h.sum(), w)\nh.sum().backward()",
        {3, 2},
        4,
        "h",
    ),
    "a custom function": (
        "class Cube(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, x):\n"
        "        ctx.save_for_backward(x)\n        return x ** 3\n    @staticmethod\n    def backward(ctx, grad):\n"
        "        (x,) = ctx.saved_tensors\n        return 3 * x ** 2 * grad\n"
        "x = torch.ones(2, requires_grad=True)\ny = Cube.apply(x)\ny.sum().backward()\ny.mean().backward()",
        {12, 11},
        13,
        "y",
    ),
    "in a late turn": (
        W + "kept = None\nfor turn in range(6):\n    h = w.exp()\n"
        "    if turn == 4:\n        kept = h\n    loss = h.sum() + (kept.sum() if turn == 5 else 0)\n"
        "    loss.backward()",
        {4, 8},
        8,
        "h",
    ),
    "freed by the one of two that was not told to keep it": (
        W + "pool = []\nfor turn in range(2):\n    fake = w.exp()\n    fake.sum().backward(retain_graph=True)\n"
        "    pool.append(fake)\n    pool[0].pow(2).sum().backward()",
        {4, 7},
        7,
        "fake",
    ),
    "freed by another line in a turn that was not looked at": (
        W + "kept = None\nfor turn in range(6):\n    a = w.sigmoid()\n    b = w.exp()\n    a.sum().backward()\n"
        "    b.pow(2).sum().backward()\n    if turn == 4:\n        kept = b\nkept.sum().backward()",
        {5, 7},
        10,
        "b",
    ),
    "pasted into an image that the turn before pasted into": (
        W + "image = torch.zeros(3)\nfor _ in range(2):\n    image[:2] = w\n    image.pow(2).sum().backward()",
        {4, 5},
        5,
        "image",
    ),
    "freed by the last that went there": (
        W + "h = w.exp()\nfor turn in range(3):\n    torch.autograd.grad((h * 2).sum(), w, create_graph=True)\n"
        "h.sum().backward()\nh.sum().backward()",
        {2, 5},
        6,
        "h",
    ),
}
ONCE = {
    "kept on purpose": W + "loss = w.exp().sum()\nloss.backward(retain_graph=True)\nloss.backward()",
    "nothing saved": W + "loss = w.sum()\nloss.backward()\nloss.backward()",
    "detached": (
        W + "state = torch.zeros(2)\nfor _ in range(3):\n"
        "    state = torch.tanh(state.detach() + w)\n    state.sum().backward()"
    ),
    "one sum": W + "h = w.exp()\n(h.sum() + h.pow(2).sum()).backward()",
    "anew in each turn": W + "for _ in range(3):\n    w.exp().sum().backward()",
}


@pytest.mark.parametrize("name", TWICE)
def test_the_second_backward_is_told(name: str) -> None:
    """The one error names the backward that freed, what was shared, and the backward that raised."""
    text, culprits, line, shared = TWICE[name]
    report = record_text(text).report

    (finding,) = [one for one in report.findings if one.severity == "error"]

    assert isinstance(finding, FreedGraph)
    assert {place.position.line for place in finding.culprits} <= culprits
    assert finding.victim is not None
    assert finding.victim.place.position.line == line
    assert shared in finding.names[:2]


@pytest.mark.parametrize("name", ONCE)
def test_of_what_may_go_backward_nothing_is_said(name: str) -> None:
    """Graphs that are kept, that save nothing, or that are not shared are left in peace."""
    recorded = record_text(ONCE[name])

    assert recorded.error is None
    assert [one for one in recorded.report.findings if one.severity != "info"] == []


def test_an_overwritten_save_is_told_as_such() -> None:
    """Where a save is stale as well, the write is what is told."""
    text = W + "h = w.exp()\nh.sum().backward()\nh.detach().add_(1)\ny = w.exp()\ny.add_(1)\ny.sum().backward()"

    kinds = [one.kind for one in record_text(text).report.findings if one.severity == "error"]

    assert kinds == ["saved-tensor-modified"]


def test_the_line_whose_earlier_turn_freed_is_told_by_its_number() -> None:
    """Behind the line that made the graph, "that line" would be the wrong one."""
    ran = record_text(TWICE["carried over from turn to turn"][0])
    (finding,) = [one for one in ran.report.findings if one.severity == "error"]

    assert "which line 4 made before; an earlier turn of line 5 has freed it." in message(finding, ran.trace)

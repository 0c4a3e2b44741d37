"""Autograd graphs as they are before a backward: nodes, edges, saves, and how far a walk goes."""

from __future__ import annotations

import pytest

from tests.recording import record_text


def test_edges_say_which_output_they_come_from() -> None:
    """A node that gave out two tensors is given two gradients."""
    trace = record_text("x = torch.ones(2, 3, requires_grad=True)\np, q = x.unbind()\n(p * q).sum().backward()").trace

    (product,) = [node for node in trace.nodes if node.name == "MulBackward0"]
    (parts,) = [node for node in trace.nodes if node.name == "UnbindBackward0"]
    assert [(edge.node, edge.input) for edge in product.edges] == [(parts.id, 0), (parts.id, 1)]


def test_a_walk_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a graph that is larger than can be looked at, a part is, and that it is one is said."""
    text = "y = torch.ones(2, requires_grad=True)\nfor _ in range(30):\n    y = y * 2\ny.sum().backward()"
    assert record_text(text).trace.walks[0].complete

    monkeypatch.setattr("inplace.capture.graph.walk.LIMIT", 10)
    trace = record_text(text).trace

    assert not trace.walks[0].complete
    assert len(trace.walks[0].reached) == 10


def test_what_a_custom_function_keeps_as_an_attribute_is_seen() -> None:
    """Autograd counts nothing of it, but it is there."""
    text = """
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.kept = x
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    x = torch.ones(2, requires_grad=True)
    Double.apply(x * 1).sum().backward()
    """
    (custom,) = [node for node in record_text(text).trace.nodes if node.custom]

    assert ("kept", False) in {(saved.name, saved.counted) for saved in custom.saved}
    assert any(saved.counted for saved in custom.saved)

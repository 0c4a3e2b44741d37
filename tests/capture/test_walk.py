"""One walk over autograd graphs: each node once, in an order, and it says where its limit was reached."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from inplace.capture.graph import postmortem, walk
from inplace.capture.graph.handles import SHOWN
from inplace.capture.graph.walk import NodesBelow


def names(nodes: Any) -> list[str]:
    """What the nodes are called, without the numbers that tell versions apart."""
    return [node.name().rpartition("::")[2].removesuffix("Backward0") for node in nodes]


def two_branches(*, longer: bool = False) -> torch.Tensor:
    """A product of two branches that end in two leaves; the first may be one node longer."""
    first, second = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    left = first.exp().clone() if longer else first.exp()
    return left.sum() * second.sin().sum()


def test_nodes_come_breadth_first_with_their_edges() -> None:
    """Each once, also one that two edges lead to; an edge is the place of its node, and the number of its input."""
    x = torch.ones(2, requires_grad=True)
    h = x.exp()
    below = NodesBelow([(h * h).grad_fn], None)

    found = [(node.name(), edges) for node, edges in below]

    assert found == [
        ("MulBackward0", [(1, 0), (1, 0)]),
        ("ExpBackward0", [(2, 0)]),
        ("torch::autograd::AccumulateGrad", []),
    ]
    assert below.is_complete


def test_a_limit_says_that_it_was_reached() -> None:
    """No more nodes are visited than the limit, and only where there were more is the walk incomplete."""
    root = two_branches().grad_fn
    whole = len(list(NodesBelow([root], None)))

    found = {limit: NodesBelow([root], limit) for limit in (3, whole - 1, whole, None)}

    assert [len(list(below)) for below in found.values()] == [3, whole - 1, whole, whole]
    assert [below.is_complete for below in found.values()] == [False, False, True, True]


@pytest.mark.parametrize("limit", [None, 1, 3, 100])
def test_nodes_without_their_edges(limit: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same nodes in the same order, with what is compiled and without."""
    x = torch.ones(3, requires_grad=True)
    y = (x.exp() * x + x.exp()).log().sum() + x.sum()
    expected = [node for node, _ in NodesBelow([y.grad_fn], limit)]

    for is_compiled in (True, False):
        if not is_compiled:
            monkeypatch.setattr(walk, "meet_all", None)
        below = NodesBelow([y.grad_fn], limit)
        assert list(below.nodes()) == expected
        assert below.is_complete is (limit in (None, 100))


def test_depth_first_is_the_order_of_the_edges() -> None:
    """One more node in a branch leaves the others in their order, which breadth first does not."""
    orders = [names(NodesBelow([two_branches(longer=more).grad_fn], None).depth_first()) for more in (False, True)]

    assert orders[0] == ["Mul", "Sum", "Exp", "AccumulateGrad", "Sum", "Sin", "AccumulateGrad"]
    assert [name for name in orders[1] if name != "Clone"] == orders[0]


def test_what_is_left_of_a_failed_cell_may_be_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the graph is larger than what is looked at, the answer says so."""
    h = two_branches().exp()

    whole = postmortem.stale_nodes(RuntimeError(), {"h": h})
    monkeypatch.setattr(postmortem, "LIMIT", 2)
    part = postmortem.stale_nodes(RuntimeError(), {"h": h})

    assert (whole.complete, part.complete) == (True, False)


SHELL = """
class Shell:
    def run(self, code):
        self.variables = {}
        try:
            exec(code, self.variables)
        except RuntimeError as error:
            return error
"""
FAILING = "import torch\nx = torch.ones(3, requires_grad=True)\nh = x.exp()\nh.add_(1)\nh.sum().backward()\n"


@pytest.mark.skipif(not SHOWN, reason="this PyTorch shows only what nodes of a recording have saved")
@pytest.mark.parametrize(("file", "count"), [("/lib/IPython/core/interactiveshell.py", 1), ("/home/me/own.py", 2)])
def test_what_is_left_of_a_failed_cell_has_the_names_of_the_user(file: str, count: int) -> None:
    """A shell that ran the cell reaches its variables by names of its own, which nobody knows."""
    host: dict[str, Any] = {"__name__": "own"}
    exec(compile(SHELL, file, "exec"), host)
    shell = host["Shell"]()
    error = shell.run(compile(FAILING, "<ipython-input-1-abc>", "exec"))

    (node,) = postmortem.stale_nodes(error, shell.variables).found

    assert node.names == ("h", "self.variables['h']")[:count]

"""Parameters that an optimizer does not know, and those that are none of its business."""

from __future__ import annotations

from inplace.checks.rebound_leaf import ReboundLeaf
from tests.recording import record_text

OLD = """
    old = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(old.parameters(), lr=0.1)
"""


def rebound(text: str, **namespace: object) -> list[ReboundLeaf]:
    """The rebound leaves that are found in a piece of source."""
    return [finding for finding in record_text(text, **namespace).report.findings if isinstance(finding, ReboundLeaf)]


def test_an_optimizer_of_another_model_is_left_out() -> None:
    """An optimizer that stays from an earlier cell, over a model that is gone, has nothing to do with this one."""
    earlier = record_text(OLD + "    del old").namespace

    found = rebound("net = nn.Linear(2, 1)\nnet(torch.ones(1, 2)).sum().backward()", optimizer=earlier["optimizer"])

    assert found == []


def test_a_replaced_parameter_is_found() -> None:
    """The same, where that optimizer steps over a parameter that was replaced."""
    found = rebound(
        """
        net = nn.Linear(2, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        net.weight = nn.Parameter(torch.zeros(1, 2))
        net(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        """
    )

    assert [finding.culprits[0].position.line for finding in found] == [3]


def test_a_result_under_a_name_of_its_own_is_none() -> None:
    """Who reads the gradient of a result, and still has the leaf under its name, has not lost it."""
    assert rebound("w = torch.ones(2, requires_grad=True)\ny = w * 2\ny.sum().backward()\ny.grad") == []


def test_a_leaf_that_lost_its_name_is_found() -> None:
    """The same, where the result has taken the leaf's name."""
    found = rebound("w = torch.ones(2, requires_grad=True)\nw = w * 2\nw.sum().backward()\nw.grad")

    assert [finding.culprits[0].position.line for finding in found] == [2]

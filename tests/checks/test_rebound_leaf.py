"""Parameters that an optimizer does not know, and those that are none of its business."""

from __future__ import annotations

import pytest

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


NET = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Linear(3, 4)
                self.reset()
            def reset(self):
                self.w = nn.Parameter(torch.ones(4, 1) * 0.1)
            def grow(self):
                self.w = nn.Parameter(torch.cat([self.w.data, torch.zeros(4, 1)], 1))
            def register(self):
                self._parameters["w"] = nn.Parameter(torch.rand(4, 1))
            def set(self):
                setattr(self, "w", nn.Parameter(torch.rand(4, 1)))
            def swap(self, opt):
                self.w = nn.Parameter(torch.rand(4, 1))
                opt.param_groups[0]["params"][0] = self.w
            def fill(self):
                self.w.data = torch.rand(4, 1)
            def forward(self, x):
                h = self.body(x).relu()
                out = h @ self.w
                return out.sum(1)
        net = Net()
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
"""
EARLY = NET + "        net.{what}\n        for _ in range(2):\n"
LATE = NET + "        for turn in range(4):\n            if turn == 2:\n                net.{what}\n"
STEP = "            opt.zero_grad()\n            net(torch.ones(2, 3)).sum().backward()\n            opt.step()\n"


@pytest.mark.parametrize(
    ("text", "what", "lines"),
    [
        (EARLY, "reset()", [7, 25]),
        (LATE, "reset()", [7, 27]),
        (EARLY, "grow()", [9]),
        (LATE, "grow()", [9]),
        (EARLY, "register()", [11]),
        (LATE, "register()", [11]),
        (LATE, "body = nn.Linear(3, 4)", [27]),
    ],
)
def test_the_line_that_replaced_a_parameter_is_told(text: str, what: str, lines: list[int]) -> None:
    """In a method, before or in the middle of the training; with its caller, if it has made the old one too."""
    found = rebound(text.format(what=what) + STEP)

    assert [[place.position.line for place in one.culprits] for one in found[:1]] == [lines]
    assert all(one.is_put for one in found)


def test_only_the_use_of_a_new_parameter_may_be_known() -> None:
    """It is put there by `setattr`: the line that computes with it is not said to have put it there."""
    found = rebound(EARLY.format(what="set()") + STEP)

    assert [(one.culprits[0].position.line, one.is_put) for one in found] == [(21, False)]


@pytest.mark.parametrize("text", [EARLY, LATE])
@pytest.mark.parametrize("what", ["swap(opt)", "fill()"])
def test_an_optimizer_that_has_the_new_parameter_is_fine(text: str, what: str) -> None:
    """It was given that, or the old one has new values."""
    assert rebound(text.format(what=what) + STEP) == []


ATTACK = """if turn > 2:
            delta = nn.Parameter(torch.zeros(3))
            expert(x + delta).logsumexp(1).mean().backward()
            x = x + delta.grad.sign()
"""
TURNS = """
def run():
    experts = nn.ModuleList([nn.Linear(3, 2) for _ in range(2)])
    {before}
    opt = torch.optim.SGD(experts.parameters(), lr=0.1)
    for turn in range(6):
        x, expert = torch.randn(8, 3), experts[turn // 3]
        {then}
        opt.zero_grad()
        expert(x).logsumexp(1).mean().backward()
        opt.step()
run()
"""


@pytest.mark.parametrize(
    ("before", "then"),
    [
        ("", "x = x + nn.Parameter(torch.zeros(3)) if turn > 2 else x"),
        ("shift = nn.Parameter(torch.zeros(3))", "x = x + shift if turn > 2 else x"),
        ("", ATTACK),
        ("experts.shift = nn.Parameter(torch.zeros(3), requires_grad=False)", "x = x + experts.shift"),
    ],
)
def test_an_expert_whose_turn_is_over_was_not_replaced(before: str, then: str) -> None:
    """Another parameter that is used from then on, and that no optimizer has, is not said to be in its place."""
    assert rebound(TURNS.format(before=before, then=then)) == []

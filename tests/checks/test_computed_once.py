"""Parameters from which a result was computed once, before the steps that change them; and the sound twins."""

from __future__ import annotations

import pytest

from inplace.checks.rebound_leaf import ReboundLeaf
from tests.recording import record_text

ALPHA = "alpha = nn.Parameter(torch.zeros(2))\nopt = torch.optim.Adam([alpha], lr=0.1)\n"
LOOP = "for _ in range(3):\n    loss = {loss}\n    opt.zero_grad()\n    loss.backward({kept})\n    opt.step()\n"
KEPT = LOOP.replace("{kept}", "retain_graph=True")
FREED = LOOP.replace("{kept}", "")
MIX = (
    "class Mix(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    "        self.alpha = nn.Parameter(torch.zeros(2))\n        self.net = nn.Linear(2, 2)\n{init}"
    "    def forward(self, x):\n        return (self.net(x) * {weights}).sum()\n"
    "mix = Mix()\nopt = torch.optim.SGD(mix.parameters(), lr=0.1)\n"
)

# The code, the line that took the parameter, the line of the step, and its name.
STALE = {
    "a softmax before the loop": (
        ALPHA + "w = torch.softmax(alpha, 0)\n" + KEPT.format(loss="(w * torch.randn(2)).sum()"),
        3,
        8,
        "alpha",
    ),
    "in the constructor of a module": (
        MIX.format(init="        self.w = torch.softmax(self.alpha, 0)\n", weights="self.w")
        + KEPT.format(loss="mix(torch.ones(2))"),
        6,
        15,
        "mix.alpha",
    ),
    "a copy on another device or of another type, with nothing saved": (
        "image = torch.rand(4, requires_grad=True)\nopt = torch.optim.Adam([image])\nshown = image.double()\n"
        + FREED.format(loss="(shown * 2).sum()"),
        3,
        8,
        "image",
    ),
    "read for a log meanwhile": (
        ALPHA + "w = alpha * 1\n" + KEPT.format(loss="(w * torch.ones(2)).sum()") + "    print(alpha.detach().sum())",
        3,
        8,
        "alpha",
    ),
}
SOUND = {
    "in each turn": ALPHA + FREED.format(loss="torch.softmax(alpha, 0)[0]"),
    "in each forward": MIX.format(init="", weights="torch.softmax(self.alpha, 0)")
    + FREED.format(loss="mix(torch.ones(2))"),
    "losses of one forward, one after the other": (
        ALPHA + "losses = [alpha[0] * 2, alpha[1] * 3, alpha.sum()]\nfor loss in losses:\n    opt.zero_grad()\n"
        "    loss.backward(retain_graph=True)\n    opt.step()"
    ),
    "not used any more": (
        "a, b = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))\nopt = torch.optim.SGD([a, b], lr=0.1)\n"
        "for turn in range(4):\n    loss = (a * b).sum() if turn < 1 else b.sum()\n    opt.zero_grad()\n"
        "    loss.backward()\n    opt.step()"
    ),
    "gradients given by hand": (
        ALPHA + "first = alpha.sum()\nfor _ in range(3):\n    opt.zero_grad()\n    alpha.grad = torch.ones(2)\n"
        "    opt.step()"
    ),
    "gradients that stay": ALPHA + "(alpha * 2).sum().backward()\nfor _ in range(3):\n    opt.step()",
    "of a frozen part": (
        "frozen = torch.ones(2)\nw = torch.softmax(frozen, 0)\n" + ALPHA + FREED.format(loss="(w * alpha).sum()")
    ),
    "in a closure": (
        ALPHA.replace("Adam", "LBFGS") + "def closure():\n    opt.zero_grad()\n    loss = (alpha - 1).pow(2).sum()\n"
        "    loss.backward()\n    return loss\nfor _ in range(3):\n    opt.step(closure)"
    ),
}


def _told(text: str) -> list[ReboundLeaf]:
    found = record_text(text).report.findings
    return [one for one in found if isinstance(one, ReboundLeaf) and one.how == "once"]


@pytest.mark.parametrize("name", STALE)
def test_what_was_computed_once_is_told(name: str) -> None:
    """The line that took the parameter, the line of the step, and the parameter's name."""
    text, line, step, called = STALE[name]

    (found,) = _told(text)

    assert found.severity == "warning"
    assert [one.position.line for one in found.culprits] == [line]
    assert found.victim is not None
    assert found.victim.place.position.line == step
    assert called in found.names


@pytest.mark.parametrize("name", SOUND)
def test_what_is_computed_as_it_should_be_is_left_in_peace(name: str) -> None:
    """Nothing is told where each loss sees the steps, or where nothing says that one was to."""
    recorded = record_text(SOUND[name])

    assert recorded.error is None
    assert _told(SOUND[name]) == []

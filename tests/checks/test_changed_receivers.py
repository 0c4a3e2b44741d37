"""Chains that change their receiver before a later argument of the same statement reads it; and sound twins."""

from __future__ import annotations

import pytest

from inplace.checks.silent_corruption import UnseenWrite
from tests.recording import record_text

CHANGED = {
    "a running mean": ("m, x = torch.zeros(3), torch.ones(3)\nm.mul_(0.9).add_((x - m) * 0.1)", 2),
    "an attribute": (
        "class Mean:\n    def __init__(self):\n        self.m = torch.zeros(3)\n    def update(self, x):\n"
        "        self.m.mul_(0.9).add_(x - self.m, alpha=0.1)\nmean = Mean()\nfor _ in range(2):\n"
        "    mean.update(torch.ones(3))",
        5,
    ),
    "an item": ("s = {'v': torch.ones(3)}\ns['v'].mul_(0.5).add_(s['v'].pow(2))", 2),
    "mirrored": ("x = torch.arange(4.0)\nx.mul_(0.5).add_(x.flip(0), alpha=0.5)", 2),
    "rolled": ("x = torch.arange(4.0)\nx.div_(2).sub_(x.roll(1))", 2),
    "itself": ("x = torch.arange(4.0)\nx.mul_(0.9).add_(x)", 2),
    "under no_grad": (
        "w = nn.Parameter(torch.ones(3))\nwith torch.no_grad():\n    w.mul_(0.9).add_(w.sigmoid())",
        3,
    ),
    "a factor": ("v, g = torch.ones(3), torch.ones(3)\nv.mul_(0.9).addcmul_(g, v.exp(), value=0.1)", 2),
    "a slice of it": ("x = torch.arange(4.0)\nx.mul_(2).add_(x[0].clone())", 2),
    "in a function": ("def step(p, g):\n    return p.mul_(0.9).sub_(g * p)\nstep(torch.ones(3), torch.ones(3))", 2),
}
SOUND = {
    "another tensor": "m, x = torch.zeros(3), torch.ones(3)\nm.mul_(0.9).add_(x * 0.1)",
    "normalised": "w = torch.rand(3)\nw.clamp_(0).div_(w.sum())",
    "centred": "x = torch.rand(3)\nx.mul_(2).sub_(x.mean())",
    "two statements": "m, x = torch.zeros(3), torch.ones(3)\nd = x - m\nm.mul_(0.9).add_(d, alpha=0.1)",
    "out of place": "m, x = torch.zeros(3), torch.ones(3)\nm = m.mul(0.9).add((x - m) * 0.1)",
    "its shape": "x = torch.rand(3)\nx.mul_(0.9).add_(torch.randn(x.shape), alpha=1 / x.size(0))",
    "like it": "x = torch.rand(3)\nx.mul_(0.9).add_(torch.randn_like(x))",
    "softmax by hand": "x = torch.rand(3)\nx.sub_(x.max()).exp_().div_(x.sum())",
    "never run": "m = torch.zeros(3)\nif m.sum() > 1:\n    m.mul_(0.9).add_(m.exp())",
    "a number": "x, n = torch.rand(3), 2\nx.mul_(n).add_(n)",
}


def told(text: str) -> list[tuple[str, int]]:
    """What is wrong with a piece of code."""
    loud = [one for one in record_text(text).report.findings if one.severity != "info"]
    return [(one.kind, one.culprits[0].position.line) for one in loud]


@pytest.mark.parametrize(("text", "line"), CHANGED.values(), ids=CHANGED)
def test_a_receiver_that_is_changed_too_early_is_told(text: str, line: int) -> None:
    """Python computes the argument from the new values."""
    assert told(text) == [(UnseenWrite.kind, line)]


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND)
def test_what_reads_no_changed_element_is_not(text: str) -> None:
    """Or reads it on purpose: a statistic of what it has become."""
    assert told(text) == []

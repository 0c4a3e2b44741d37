"""Results that are kept in a bank, a queue or a list for the next turn: their values are, and nothing else changes."""

from __future__ import annotations

import pytest
import torch

from inplace.fixes.editing import applied
from tests.recording import record_text

HEAD = """
import operator
torch.manual_seed(0)
enc = nn.Linear(3, 4)
opt = torch.optim.SGD(enc.parameters(), lr=0.1)
"""
TURN = """
for step in range(3):
    z = enc(torch.randn(2, 3))
    loss = (z @ {read}).logsumexp(1).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    {keep}
"""
BANK = "bank, memory = torch.zeros(6, 4), {}\nidx = torch.tensor([0, 3])\n"
CLASS = """
class Bank(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("queue", torch.zeros(6, 4))
        self.ptr = 0
    def enqueue(self, z):
        n = z.shape[0]
        self.queue[self.ptr : self.ptr + n] = z
        self.ptr = (self.ptr + n) % 6
bank = Bank()
"""
SHOWN = {
    "an item": (BANK + TURN.format(read="bank.clone().t()", keep="bank[idx] = z"), "bank[idx] = z.detach()"),
    "a call that sets it": (
        BANK + TURN.format(read="bank.clone().t()", keep="operator.setitem(bank, idx, z)"),
        "operator.setitem(bank, idx, z.detach())",
    ),
    "a copy": (
        BANK + TURN.format(read="bank.clone().t()", keep="bank[:2].copy_(z)"),
        "bank[:2].copy_(z.detach())",
    ),
    "index_copy_": (
        BANK + TURN.format(read="bank.clone().t()", keep="bank.index_copy_(0, idx, z)"),
        "bank.index_copy_(0, idx, z.detach())",
    ),
    "a moving mean": (
        BANK + TURN.format(read="bank.clone().t()", keep="bank[idx] = 0.5 * bank[idx] + 0.5 * z"),
        "bank[idx] = (0.5 * bank[idx] + 0.5 * z).detach()",
    ),
    "a queue of a module": (
        CLASS + TURN.format(read="bank.queue.clone().t()", keep="bank.enqueue(z)"),
        "self.queue[self.ptr : self.ptr + n] = z.detach()",
    ),
    "a list": (
        "queue = [torch.zeros(2, 4)]\n" + TURN.format(read="torch.cat(queue).t()", keep="queue.append(z)"),
        "queue.append(z.detach())",
    ),
    "before the backward, where its own turn uses it": (
        BANK
        + "for step in range(3):\n    z = enc(torch.randn(2, 3))\n    bank[idx] = z\n"
        + "    loss = (z @ bank.t()).logsumexp(1).mean()\n    opt.zero_grad()\n    loss.backward()\n    opt.step()",
        "bank = bank.detach()",
    ),
}
WORDS = {
    "taken in two places": BANK
    + TURN.format(read="bank.clone().t()", keep="bank[idx] = z; memory[0] = z").replace(
        "    loss = (z", "    extra = memory[0].sum() if memory else 0\n    loss = extra + (z"
    ),
    "a value with a name of its own": BANK + TURN.format(read="bank.clone().t()", keep="bank[idx] = (last := z * 2)"),
    "a global of a function": BANK
    + "def turn():\n    for step in range(3):\n        z = enc(torch.randn(2, 3))\n        bank[idx] = z\n"
    + "        loss = (z @ bank.t()).logsumexp(1).mean()\n        loss.backward()\nturn()",
}


def first_turn(text: str) -> list[float]:
    """The gradients of the first turn of a loop."""
    namespace = {"torch": torch, "nn": torch.nn}
    exec((HEAD + text).replace("range(3)", "range(1)"), namespace)
    return [float(one.grad.sum()) for one in namespace["enc"].parameters()]


@pytest.mark.parametrize("name", SHOWN)
def test_the_values_are_kept(name: str) -> None:
    """One line changes; then nothing raises, nothing is found, and the first turn has the gradients that it had."""
    text, line = SHOWN[name]
    (found,) = [one for one in record_text(HEAD + text).report.findings if one.severity == "error"]

    assert found.kind == "freed-graph"
    assert found.rewrite is not None
    assert line in found.rewrite.new
    again = applied((HEAD + text).strip("\n") + "\n", found.rewrite)
    ran = record_text(again)
    assert ran.error is None
    assert [one.kind for one in ran.report.findings if one.severity in {"error", "warning"}] == []
    assert first_turn(again.removeprefix(HEAD.lstrip("\n"))) == first_turn(text)


@pytest.mark.parametrize("name", WORDS)
def test_others_have_words(name: str) -> None:
    """Where something else takes the result too, or a line would bind a name that is not the function's."""
    (found,) = [one for one in record_text(HEAD + WORDS[name]).report.findings if one.severity == "error"]

    assert (found.kind, found.rewrite) == ("freed-graph", None)

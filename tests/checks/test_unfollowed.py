"""Writes to a result that the graph has not recorded and that backward goes through; and sound twins."""

from __future__ import annotations

import pytest

from inplace.checks.silent_corruption import UnseenWrite
from tests.recording import record_text

START = "lin = nn.Linear(4, 4)\nh = lin(torch.randn(2, 4))\n"
END = "\nh.sum().backward()"
TOLD = {
    "scaled through detach": (START + "h.detach().mul_(0.5)" + END, 3),
    "clamped through detach": (START + "h.detach().clamp_(min=0)" + END, 3),
    "clamped under no_grad": (START + "with torch.no_grad():\n    h.clamp_(0, 0.1)" + END, 4),
    "clamped by out": (START + "with torch.no_grad():\n    torch.clamp(h, 0, 0.1, out=h)" + END, 4),
    "an activation under no_grad": (START + "with torch.no_grad():\n    nn.functional.relu(h, inplace=True)" + END, 4),
    "a row replaced under no_grad": (START + "with torch.no_grad():\n    h[0] = 5.0" + END, 4),
    "a column replaced through detach": (START + "h.detach()[:, 0] = 5.0" + END, 3),
    "some filled through data": (START + "h.data.masked_fill_(torch.eye(2, 4).bool(), 5.0)" + END, 3),
    "some replaced by a mask": (START + "h.data[h.data < 0.3] = 0.3" + END, 3),
    "an item scaled": (START + "h.data[0] *= 3" + END, 3),
    "bent, then copied in": (START + "h.detach().copy_(h.detach().relu())" + END, 3),
    "normalised, then copied in": (START + "with torch.no_grad():\n    h.copy_(h / h.norm())" + END, 4),
    "bent, then assigned": (START + "h.data[:] = h.data.clamp(0, 0.1)" + END, 3),
    "an array of it": (START + "h.detach().numpy()[:] *= 2" + END, 3),
    "an array under a name": (START + "a = h.detach().numpy()\na[0] = 5" + END, 4),
    "element by element": (START + "h.detach().apply_(lambda v: max(v, 0.1))" + END, 3),
    "an attribute, in a method": (
        """
        class Head(nn.Module):
            def __init__(self):
                super().__init__()
                self.lin = nn.Linear(3, 2)
            def forward(self, x):
                self.logits = self.lin(x)
                with torch.no_grad():
                    self.logits /= 0.07
                return self.logits
        def main():
            head = Head()
            for _ in range(2):
                nn.functional.cross_entropy(head(torch.rand(4, 3)), torch.tensor([0, 1, 0, 1])).backward()
        main()
        """,
        8,
    ),
    "in a helper": (
        "def drop(t):\n    t.data.mul_((torch.rand_like(t) > 0.5).float())\n    return t\n"
        + START
        + "h = drop(h)"
        + END,
        2,
    ),
    "of a list of results": (
        START + "outs = [h, lin(torch.rand(2, 4))]\nwith torch.no_grad():\n    for o in outs:\n        o.mul_(2)\n"
        "torch.stack(outs).sum().backward()",
        6,
    ),
}
SOUND = {
    "what is added": START + "h.data += 0.1\nwith torch.no_grad():\n    h.sub_(h.mean())\nh.data[0] += 1" + END,
    "what is added element by element": START + "h.detach().map_(torch.rand(2, 4), lambda a, b: a + b)" + END,
    "what is rounded": START + "h.data.copy_(h.data.round())\nh.data[:] = torch.floor(h.data)" + END,
    "some that are rounded": START + "h.data[0] = h.data[0].round()" + END,
    "put in as a whole": START + "q = torch.rand(2, 4)\nh.data.copy_(q)\nwith torch.no_grad():\n    h.copy_(q)" + END,
    "a sign, by a module": (
        "class Sign(nn.Module):\n    def forward(self, x):\n        x.data = x.data.sign()\n        return x\n"
        "nn.Sequential(nn.Linear(2, 2), Sign())(torch.rand(3, 2)).sum().backward()"
    ),
    "a mask before a softmax": (
        START + "with torch.no_grad():\n    h[:, 0] = float('-inf')\n    h.masked_fill_(torch.eye(2, 4).bool(), -1e9)\n"
        "h.softmax(-1)[:, 3].sum().backward()"
    ),
    "a mask of nothing": START + "h.data.masked_fill_(torch.zeros(2, 4).bool(), 0.0)\nh.data.clamp_(-99, 99)" + END,
    "recorded": START + "h[0] = 0\nh.mul_(2)\nh.view(8)[1:].clamp_(0)" + END,
    "into room of its own": START + "out = torch.empty_like(h)\nout[0] = h[1] * 2\nout[1] = h[0]\nout.sum().backward()",
    "after backward": START + "h.sum().backward()\nwith torch.no_grad():\n    h.mul_(2)\n    h[0] = 1\nprint(h.sum())",
    "of a copy": START + "log = h.detach().clone()\nlog.clamp_(0, 0.1)\nlog[0] = 3" + END,
    "used no more": START + "loss = h.sum()\nh.detach().clamp_(0, 0.1)\nloss.backward()",
    "of parameters": START
    + "h.sum().backward()\nwith torch.no_grad():\n    lin.weight.clamp_(0)\n    lin.bias[0] = 0\n"
    "lin(torch.rand(1, 4)).sum().backward()",
    "of a carried state": (
        "cell, h = nn.RNNCell(2, 3), torch.zeros(2, 3)\nfor _ in range(3):\n"
        "    h = cell(torch.rand(2, 2), h.detach())\n"
        "    h.sum().backward()\n    h = h.detach()\n    h[0] = 0\n    h.mul_(0.9)"
    ),
    "an array that is added to": (
        "import numpy as np\n" + START + "a = h.detach().numpy()\na += np.random.rand(*a.shape)\na -= 1" + END
    ),
    "an array that is a copy": START + "a = h.detach().numpy().copy()\na *= 2" + END,
}


def told(text: str) -> list[int]:
    """The first line of each write that is said to be unseen."""
    return [one.culprits[0].position.line for one in record_text(text).report.of_type(UnseenWrite)]


@pytest.mark.parametrize(("text", "line"), TOLD.values(), ids=TOLD)
def test_a_write_that_the_graph_has_not_is_told(text: str, line: int) -> None:
    """The gradient is that of the values before it."""
    assert told(text) == [line]


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND)
def test_a_write_that_costs_no_gradient_is_not(text: str) -> None:
    """Its derivative is one or meant to be, it is recorded, or nobody goes through it."""
    ran = record_text(text)

    assert ran.error is None
    assert told(text) == []

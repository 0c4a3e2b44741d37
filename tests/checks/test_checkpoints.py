"""Checkpoints that compute something else when backward runs them again: refused, or silently; and sound twins."""

from __future__ import annotations

import pytest

from inplace.checks.silent_corruption import UnseenWrite
from tests.recording import record_text

HEAD = "from torch.utils.checkpoint import checkpoint\n"
SILENT = {
    "a tensor from outside": (
        HEAD
        + "scale = torch.ones(3)\ndef run(x):\n    return (x * scale).exp()\nx = torch.rand(3, requires_grad=True)\n"
        "out = checkpoint(run, x, use_reentrant=False)\nscale.mul_(2)\nout.sum().backward()",
        [7],
        6,
    ),
    "weights stepped in between": (
        HEAD + "net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 1))\n"
        "opt = torch.optim.SGD(net.parameters(), lr=0.5)\nx = torch.rand(4, 3)\n"
        "aux = checkpoint(net, x, use_reentrant=False).mean()\nnet(x).pow(2).mean().backward()\nopt.step()\n"
        "aux.backward()",
        [7],
        5,
    ),
    "a mask of a module, reentrant": (
        HEAD + "class Block(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.fc = nn.Linear(4, 4)\n"
        "        self.mask = torch.ones(4)\n    def run(self, x):\n        return (self.fc(x) * self.mask).tanh()\n"
        "    def forward(self, x):\n        return checkpoint(self.run, x, use_reentrant=True)\nblock = Block()\n"
        "out = block(torch.rand(2, 4, requires_grad=True))\nblock.mask[0] = 0.5\nout.sum().backward()",
        [13],
        10,
    ),
    "another way": (
        HEAD + "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.fc = nn.Linear(4, 4)\n"
        "        self.extra = False\n    def run(self, x):\n        h = self.fc(x)\n        if self.extra:\n"
        "            h = h.sigmoid()\n        return h.tanh()\n    def forward(self, x):\n"
        "        return checkpoint(self.run, x, use_reentrant=False)\nnet = Net()\nout = net(torch.rand(2, 4))\n"
        "net.extra = True\nout.sum().backward()",
        [10, 11],
        13,
    ),
}
REFUSED = {
    "begun with another call": (
        HEAD + "import random\ndef run(x, flip=[1]):\n    if flip.pop() if flip else 0:\n        x = x.sin()\n"
        "    return x.exp().sum()\nx = torch.rand(3, requires_grad=True)\n"
        "checkpoint(run, x, use_reentrant=False).backward()",
        {5, 6},
    ),
    "a mask that is made once": (
        HEAD + "class Attention(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.q, self.mask = nn.Linear(4, 4), None\n    def run(self, x):\n        if self.mask is None:\n"
        "            self.mask = torch.rand(4, 4)\n            x = x * self.mask\n        return self.q(x).relu()\n"
        "    def forward(self, x):\n        return checkpoint(self.run, x, use_reentrant=False)\n"
        "Attention()(torch.rand(4, 4, requires_grad=True)).sum().backward()",
        {8, 10},
    ),
    "a call less": (
        HEAD + "ran = []\ndef run(x):\n    ran.append(1)\n    y = x.exp()\n    if len(ran) == 1:\n        y = y.sin()\n"
        "    return y.cos()\nx = torch.rand(3, requires_grad=True)\n"
        "checkpoint(run, x, use_reentrant=False).sum().backward()",
        {7, 8},
    ),
}
SOUND = {
    "layers in a loop": (
        HEAD + "layers = [nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)) for _ in 'abc']\n"
        "layers = nn.ModuleList(layers)\n"
        "opt = torch.optim.Adam(layers.parameters())\nfor _ in range(3):\n"
        "    h = torch.rand(4, 3, requires_grad=True)\n"
        "    for layer in layers:\n        h = checkpoint(layer, h, use_reentrant=False)\n    opt.zero_grad()\n"
        "    h.sum().backward()\n    opt.step()"
    ),
    "a function with a loop of its own": (
        HEAD + "w = nn.Parameter(torch.rand(3, 3))\ndef run(x):\n    for _ in range(3):\n        x = (x @ w).tanh()\n"
        "    return x\nfor reentrant in (True, False):\n    x = torch.rand(2, 3, requires_grad=True)\n"
        "    checkpoint(run, checkpoint(run, x, use_reentrant=reentrant), use_reentrant=reentrant).sum().backward()"
    ),
    "written after backward": (
        HEAD
        + "scale = torch.ones(3)\ndef run(x):\n    return (x * scale).exp()\nx = torch.rand(3, requires_grad=True)\n"
        "for _ in range(3):\n    checkpoint(run, x, use_reentrant=False).sum().backward()\n    scale.mul_(2)\n"
        "    with torch.no_grad():\n        x -= 0.1 * x.grad\n    x.grad = None"
    ),
    "given as an argument": (
        HEAD
        + "scale = torch.ones(3)\ndef run(x, s):\n    return (x * s).exp()\nx = torch.rand(3, requires_grad=True)\n"
        "out = checkpoint(run, x, scale.clone(), use_reentrant=False)\nscale.mul_(2)\nout.sum().backward()"
    ),
    "evaluated in between": (
        HEAD + "net = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))\ndef run(x):\n    h = net[0](x)\n"
        "    return net[1](h) if net.training else h\nout = checkpoint(run, torch.rand(2, 3), use_reentrant=False)\n"
        "net.eval()\nwith torch.no_grad():\n    checkpoint(run, torch.rand(2, 3), use_reentrant=False)\nnet.train()\n"
        "out.sum().backward()"
    ),
    "with hooks that compute": (
        HEAD + "net = nn.Linear(3, 3)\nnet.weight.register_hook(lambda g: g.clamp(-1, 1) * 2)\n"
        "out = checkpoint(lambda x: net(x).tanh() * 2, torch.rand(2, 3), use_reentrant=False)\nout.sum().backward()"
    ),
}


OWN = (
    HEAD + "torch.manual_seed(0)\nimport warnings\nfrom torch.nn.utils import parametrizations as P, spectral_norm\n"
    "with warnings.catch_warnings():\n    warnings.simplefilter('ignore')\n"
    "    net = nn.Sequential({norm}(nn.Linear(4, 8)), nn.Tanh())\n"
    "out = checkpoint(net, torch.rand(6, 4), use_reentrant=False)\nout.sum().backward()"
)


def told(text: str) -> list[tuple[str, list[int], int | None]]:
    """What is wrong with a piece of code: kinds, lines of culprits, and the line of the victim."""
    loud = [one for one in record_text(text).report.findings if one.severity != "info"]
    return [
        (one.kind, [p.position.line for p in one.culprits], one.victim.place.position.line if one.victim else None)
        for one in loud
    ]


@pytest.mark.parametrize(("text", "culprits", "victim"), SILENT.values(), ids=SILENT)
def test_what_changed_before_the_second_run_is_named(text: str, culprits: list[int], victim: int) -> None:
    """Nothing is refused, and the gradient is not that of what was computed."""
    assert told(text) == [("silent-corruption", culprits, victim)]


@pytest.mark.parametrize(("text", "lines"), REFUSED.values(), ids=REFUSED)
def test_the_first_call_that_differs_is_named(text: str, lines: set[int]) -> None:
    """PyTorch says what was saved otherwise, and not by which line."""
    ((kind, culprits, _),) = told(text)

    assert kind == "custom-function"
    assert lines <= set(culprits)


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND)
def test_a_second_run_that_does_the_same_is_fine(text: str) -> None:
    """Whatever is written, it is written when nobody will read it again."""
    ran = record_text(text)

    assert ran.error is None
    assert told(text) == []


@pytest.mark.parametrize("norm", ["P.spectral_norm", "spectral_norm"])
def test_a_module_that_writes_what_it_reads_is_no_unknown_writer(norm: str) -> None:
    """Its power iteration runs once more in backward, so the gradient is another: the checkpoint's line is told."""
    (finding,) = [one for one in record_text(OWN.format(norm=norm)).report.findings if one.severity != "info"]

    assert isinstance(finding, UnseenWrite)
    assert (finding.how, finding.culprits) == ("rewritten", ())
    assert finding.victim is not None
    assert finding.victim.place is not None
    assert finding.victim.place.position.line == 8
    assert not {"out", "checkpoint"}.intersection(finding.names)

"""Gradients that are not those of what was computed, values that land in a copy, and code of other threads."""

from __future__ import annotations

import pytest
import torch

from tests.recording import record_text

HEAD = "from torch import nn\ntorch.manual_seed(0)\nx = torch.randn(8, 3)\nw = torch.ones(3, requires_grad=True)\n"  # 4
FIELD = (
    HEAD + "net = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))\n"
    "opt = torch.optim.SGD(net.parameters(), lr=0.1)\nt = torch.rand(5, 1, requires_grad=True)\nu = net(t)\n"  # 8
)
THREAD = HEAD + "import threading\nbox = {}\nmodel = nn.Linear(3, 1)\n"  # 7
DISTRIBUTED = (
    HEAD + "import os, torch.distributed as dist\nfrom torch.utils.checkpoint import checkpoint\n"
    "os.environ['GLOO_SOCKET_IFNAME'] = 'lo'\n"
    "dist.init_process_group('gloo', store=dist.HashStore(), rank=0, world_size=1)\n"
    "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.fc = nn.Linear(3, 3)\n"
    "    def forward(self, x):\n        x = checkpoint(self.fc, x, use_reentrant={reentrant})\n"
    "        return checkpoint(self.fc, x, use_reentrant={reentrant})\n"
    "net = nn.parallel.DistributedDataParallel(Net(), find_unused_parameters=True)\n"
    "try:\n    net(x.requires_grad_()).sum().backward()\nfinally:\n    dist.destroy_process_group()\n"
    "    globals()['net'] = net\n"  # whose end waits for gloo's threads, which may wait for Python (see limits.md)
)

# The kind, the line of a culprit, and the code.
WRONG = {
    "scaled through detach": (
        "silent-corruption",
        6,
        HEAD + "h = x * w\nh.detach().mul_(0.5)\nh.sum().backward()\nprint(w.grad)\n",
    ),
    "dropped out under no_grad": (
        "silent-corruption",
        8,
        HEAD + "mask = torch.tensor([1.0, 0.0, 2.0])\nh = x * w\nwith torch.no_grad():\n    h *= mask\n"
        "h.pow(2).sum().backward()\n",
    ),
    "divided through data": (
        "silent-corruption",
        6,
        HEAD + "h = x @ w\nh.data.div_(x.norm(dim=1))\n(h + 1).sum().backward()\n",
    ),
    "a derivative in a residual": (
        "graph-detached",
        9,
        FIELD
        + "du, = torch.autograd.grad(u.sum(), t, retain_graph=True)\nloss = (du + 0.5 * u).pow(2).mean()\n"
        + "loss.backward()\nopt.step()\n",
    ),
    "a penalty on the slope": (
        "graph-detached",
        9,
        FIELD
        + "g = torch.autograd.grad(u, t, torch.ones_like(u), retain_graph=True)[0]\n"
        + "penalty = (g.norm(dim=1) - 1).pow(2).mean()\n(u.mean() + 10 * penalty).backward()\nopt.step()\n",
    ),
    "a derivative that was accumulated": (
        "graph-detached",
        10,
        FIELD + "u.sum().backward(retain_graph=True)\nslope = t.grad\nopt.zero_grad()\n"
        "torch.nn.functional.mse_loss(slope, -u).backward()\nopt.step()\n",
    ),
    "values for a copy": (
        "lost-write",
        6,
        HEAD + "canvas = torch.zeros(4, 3)\ncanvas[torch.tensor([0, 2])][:, 1:] = w[1:] * 2\n"
        "v = torch.ones(3, requires_grad=True)\n(canvas * v).sum().backward()\nprint(w.grad)\n",
    ),
    "values added to a copy": (
        "lost-write",
        7,
        HEAD + "canvas = torch.zeros(4, 3)\nkeep = canvas.sum(1) == 0\ncanvas[keep].add_(w)\n"
        "v = torch.ones(3, requires_grad=True)\n(canvas + v).sum().backward()\nprint(w.grad)\n",
    ),
    "another thread's": (
        "graph-detached",
        10,
        THREAD + "def work():\n    with torch.no_grad():\n        box['out'] = model(x)\n"
        "one = threading.Thread(target=work)\none.start()\none.join()\nbox['out'].sum().backward()\n",
    ),
    "what another thread has collected": (
        "graph-detached",
        10,
        THREAD + "outs = []\ndef work():\n    outs.append(model(x).detach())\n"
        "one = threading.Thread(target=work)\none.start()\none.join()\nouts[0].sum().backward()\n",
    ),
    "a part that DDP has counted": ("freed-graph", 14, DISTRIBUTED.format(reentrant=True)),
}

SOUND = {
    "noise is added through detach": HEAD + "h = x * w\nh.detach().add_(torch.randn(8, 3))\nh.sum().backward()\n",
    "straight through by data": HEAD + "h = x * w\nh.data.copy_(h.round())\nh.sum().backward()\nprint(w.grad)\n",
    "a detached copy is scaled": HEAD + "h = x * w\nseen = h.detach().clone().mul_(2)\nh.sum().backward()\n",
    "scaled once backward is done": HEAD + "h = x * w\nh.sum().backward()\nh.detach().mul_(2)\nprint(h.sum().item())\n",
    "a weight is decayed": HEAD + "(x * w).sum().backward()\nwith torch.no_grad():\n    w.mul_(0.9)\n",
    "a graph of its own": FIELD
    + "du, = torch.autograd.grad(u.sum(), t, create_graph=True)\n(du + 0.5 * u).pow(2).mean().backward()\nopt.step()\n",
    "a derivative for a report": FIELD
    + "du, = torch.autograd.grad(u.sum(), t, retain_graph=True)\nprint((du + u.detach()).norm())\n"
    + "u.pow(2).mean().backward()\nopt.step()\n",
    "an adversarial input": FIELD
    + "g, = torch.autograd.grad(u.sum(), t, retain_graph=True)\n"
    + "(u.mean() + net(t + 0.1 * g.sign()).mean()).backward()\nopt.step()\n",
    "an adversarial input, added to what is live": FIELD
    + "d, = torch.autograd.grad(net[2](net[1](net[0](t))).sum(), t, retain_graph=True)\nh = net[0](t)\n"
    + "net[2](net[1](h + 0.1 * d)).mean().backward()\nopt.step()\n",
    "the weight of a loss": FIELD
    + "g, = torch.autograd.grad(u.sum(), t, retain_graph=True)\n(u.pow(2) * g.abs()).mean().backward()\nopt.step()\n",
    "one weight from the last layer": FIELD
    + "a, b = u.mean(), u.pow(2).mean()\nga, = torch.autograd.grad(a, net[2].weight, retain_graph=True)\n"
    + "gb, = torch.autograd.grad(b, net[2].weight, retain_graph=True)\n(a + ga.norm() / gb.norm() * b).backward()\n"
    + "opt.step()\n",
    "a first-order step": FIELD
    + "p = dict(net.named_parameters())\ng = torch.autograd.grad(u.pow(2).mean(), list(p.values()))\n"
    + "fast = {name: one - 0.1 * d for (name, one), d in zip(p.items(), g)}\n"
    + "torch.func.functional_call(net, fast, (t,)).pow(2).mean().backward()\nopt.step()\n",
    "a copy that is used": HEAD
    + "canvas = torch.zeros(4, 3)\nrows = canvas[torch.tensor([0, 2])]\nrows[:, 0] = w[0] * 2\n"
    "(rows + w).sum().backward()\nprint(w.grad)\n",
    "one index": HEAD + "canvas = torch.zeros(4, 3)\ncanvas[torch.tensor([0, 2]), 0] = w[0] * 2\n"
    "(canvas + 1).sum().backward()\nprint(w.grad)\n",
    "a chain of slices": HEAD
    + "canvas = torch.zeros(4, 3)\ncanvas[1:][:, 0] = w * 2\n(canvas + 1).sum().backward()\nprint(w.grad)\n",
    "another thread with gradients": THREAD + "def work():\n    box['out'] = model(x)\n"
    "one = threading.Thread(target=work)\none.start()\none.join()\nbox['out'].sum().backward()\n",
    "checkpoints that DDP can count": DISTRIBUTED.format(reentrant=False),
}


def _in_main(text: str) -> str:
    return "def main():\n" + "".join(f"    {line}\n" for line in text.splitlines()) + "main()\n"


def _loud(text: str) -> list[tuple[str, list[int]]]:
    findings = record_text("print = lambda *_: None\n" + text).report.findings
    return [
        (finding.kind, [place.position.line - 1 for place in finding.culprits])
        for finding in findings
        if finding.severity != "info"
    ]


@pytest.mark.parametrize("wrap", [False, True], ids=["plain", "in a function"])
@pytest.mark.parametrize("name", WRONG)
def test_it_is_told(name: str, *, wrap: bool) -> None:
    """The kind and the line of the culprit are told, and nothing else."""
    kind, line, text = WRONG[name]

    found = _loud(_in_main(text) if wrap else text)

    assert [one for one, _ in found] == [kind]
    assert line + wrap in found[0][1]


@pytest.mark.parametrize("wrap", [False, True], ids=["plain", "in a function"])
@pytest.mark.parametrize("name", SOUND)
def test_sound_code_is_quiet(name: str, *, wrap: bool) -> None:
    """The same calls where they are meant, or do no harm."""
    assert _loud(_in_main(SOUND[name]) if wrap else SOUND[name]) == []


def test_the_gradient_is_not_that_of_what_was_computed() -> None:
    """What is said of a write that the graph does not learn of is so: finite differences give another gradient."""
    w = torch.ones(3, dtype=torch.float64, requires_grad=True)

    def computed(at: torch.Tensor) -> torch.Tensor:
        h = at * 3
        h.detach().mul_(0.5)
        return h.sum()

    computed(w).backward()

    with torch.no_grad():
        slope = (computed(w + 1e-6) - computed(w - 1e-6)) / 2e-6
    assert w.grad is not None
    assert (w.grad.sum().item(), round(slope.item(), 3)) == (9.0, 4.5)

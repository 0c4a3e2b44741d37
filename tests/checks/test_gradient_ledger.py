"""Gradients that are lost, not finite, or applied by nobody; and sound programs of these styles, which are quiet."""

from __future__ import annotations

import pytest
import torch

from tests.recording import record_text

HEAD = "from torch import nn\ntorch.manual_seed(0)\nx, y = torch.randn(8, 3), torch.randn(8, 1)\n"  # 3 lines
MODEL = HEAD + "model = nn.Linear(3, 1)\nopt = torch.optim.SGD(model.parameters(), lr=0.1)\n"  # 5 lines
LISTED = (
    HEAD + "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    "        self.body = nn.Linear(3, 3)\n        self.heads = {heads}\n"
    "    def forward(self, x):\n        h = self.body(x)\n        return {head}(h)\n"
)
LOOP = (
    "opt = torch.optim.SGD(model.parameters(), lr=0.1)\nfor _ in range(2):\n    opt.zero_grad()\n"
    "    (model(x) - y).pow(2).mean().backward()\n    opt.step()\n"
)

# The kind, the line of a culprit, and the code.
WRONG = {
    "heads in a list": (
        "not-optimized",
        8,
        LISTED.format(heads="[nn.Linear(3, 1)]", head="self.heads[0]") + "model = Net()\n" + LOOP,
    ),
    "heads in a dict": (
        "not-optimized",
        8,
        LISTED.format(heads="{'a': nn.Linear(3, 1)}", head="self.heads['a']") + "model = Net()\n" + LOOP,
    ),
    "heads in lists of lists": (
        "not-optimized",
        8,
        LISTED.format(heads="[[nn.Linear(3, 1)]]", head="self.heads[0][0]") + "model = Net()\n" + LOOP,
    ),
    "a parameter in a list": (
        "not-optimized",
        8,
        LISTED.format(heads="[nn.Parameter(torch.ones(3))]", head="(lambda h: (h * self.heads[0]).sum(1, True))")
        + "model = Net()\n"
        + LOOP,
    ),
    "a tensor that requires grad as an attribute": (
        "not-optimized",
        8,
        LISTED.format(heads="torch.ones(3, requires_grad=True)", head="(lambda h: (h * self.heads).sum(1, True))")
        + "model = Net()\n"
        + LOOP,
    ),
    "made in forward": (
        "not-optimized",
        11,
        LISTED.format(heads="None", head="(lambda h: (h * nn.Parameter(torch.ones(3))).sum(1, True))")
        + "model = Net()\n"
        + LOOP,
    ),
    "hidden, in a function": (
        "not-optimized",
        8,
        LISTED.format(heads="(nn.Linear(3, 1),)", head="self.heads[0]")
        + "def train():\n    model = Net()\n"
        + "".join(f"    {line}\n" for line in LOOP.splitlines())
        + "train()\n",
    ),
    "an optimizer of a copy": (
        "not-optimized",
        6,
        HEAD
        + "import copy\nmodel = nn.Linear(3, 1)\nopt = torch.optim.SGD(copy.deepcopy(model).parameters(), lr=0.1)\n"
        "for _ in range(2):\n    opt.zero_grad()\n    (model(x) - y).pow(2).mean().backward()\n    opt.step()\n",
    ),
    "drawn from a normal distribution": (
        "graph-detached",
        9,
        HEAD + "enc, dec = nn.Linear(3, 2), nn.Linear(1, 1)\n"
        "opt = torch.optim.SGD([*enc.parameters(), *dec.parameters()], lr=0.1)\nfor _ in range(2):\n"
        "    mean, log_std = enc(x).chunk(2, 1)\n    opt.zero_grad()\n    z = torch.normal(mean, log_std.exp())\n"
        "    (dec(z) - y).pow(2).mean().backward()\n    opt.step()\n",
    ),
    "gates that are drawn": (
        "graph-detached",
        5,
        "p = torch.nn.Parameter(torch.zeros(3))\nopt = torch.optim.SGD([p], lr=0.1)\nfor _ in range(2):\n"
        "    opt.zero_grad()\n    gate = torch.bernoulli(p.sigmoid())\n    (gate * 3).sum().backward()\n"
        "    opt.step()\n",
    ),
    "cleared between two losses": (
        "gradient-lost-before-step",
        9,
        MODEL + "for _ in range(3):\n    opt.zero_grad()\n    model(x).pow(2).mean().backward()\n    opt.zero_grad()\n"
        "    (model(x) - y).pow(2).mean().backward()\n    opt.step()\n",
    ),
    "cleared between two losses of one graph, by the model, in a function": (
        "gradient-lost-before-step",
        11,
        MODEL + "def step(x, y):\n    model.zero_grad()\n    out = model(x)\n    loss = (out - y).pow(2).mean()\n"
        "    loss.backward(retain_graph=True)\n    model.zero_grad()\n    out.abs().mean().backward()\n"
        "    opt.step()\n    return loss.item()\nfor _ in range(3):\n    step(x, y)\n",
    ),
    "cleared before the step": (
        "gradient-lost-before-step",
        8,
        MODEL
        + "for _ in range(3):\n    (model(x) - y).pow(2).mean().backward()\n    opt.zero_grad()\n    opt.step()\n",
    ),
    "cleared by the model before the step": (
        "gradient-lost-before-step",
        8,
        MODEL + "def turn():\n    (model(x) - y).pow(2).mean().backward()\n    model.zero_grad()\n    opt.step()\n"
        "for _ in range(3):\n    turn()\n",
    ),
    "zeroed before the step": (
        "gradient-lost-before-step",
        8,
        MODEL + "for _ in range(3):\n    (model(x) - y).pow(2).mean().backward()\n"
        "    opt.zero_grad(set_to_none=False)\n    opt.step()\n",
    ),
    "zeroed by hand before the step": (
        "gradient-lost-before-step",
        9,
        MODEL + "for _ in range(3):\n    (model(x) - y).pow(2).mean().backward()\n    for p in model.parameters():\n"
        "        p.grad.zero_()\n    opt.step()\n",
    ),
    "a step before the backward": (
        "gradient-lost-before-step",
        7,
        MODEL + "for _ in range(3):\n    opt.zero_grad()\n    loss = (model(x) - y).pow(2).mean()\n    opt.step()\n"
        "    loss.backward()\n",
    ),
    "cleared for each of several": (
        "gradient-lost-before-step",
        7,
        MODEL + "for i in range(4):\n    opt.zero_grad()\n    (model(x) - y).pow(2).mean().backward()\n"
        "    if i % 2:\n        opt.step()\n",
    ),
    "cleared after each of several": (
        "gradient-lost-before-step",
        8,
        MODEL + "for i in range(6):\n    (model(x) - y).pow(2).mean().backward()\n    if i % 3 < 2: opt.zero_grad()\n"
        "    else:\n        opt.step(); opt.zero_grad()\n",
    ),
    "clipped before backward": (
        "gradient-lost-before-step",
        9,
        MODEL + "for _ in range(2):\n    opt.zero_grad()\n    loss = (model(x) - y).pow(2).mean()\n"
        "    nn.utils.clip_grad_norm_(model.parameters(), 0.1)\n    loss.backward()\n    opt.step()\n",
    ),
    "clipped while scaled": (
        "gradient-lost-before-step",
        10,
        MODEL + "scaler = torch.amp.GradScaler('cpu')\nfor _ in range(2):\n    opt.zero_grad()\n"
        "    scaler.scale((model(x) - y).pow(2).mean()).backward()\n"
        "    nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n    scaler.step(opt)\n    scaler.update()\n",
    ),
    "where over the root of zero": (
        "non-finite-gradient",
        8,
        MODEL + "for _ in range(2):\n    opt.zero_grad()\n    d = (model(x) * 0).pow(2).sqrt()\n"
        "    torch.where(d > 0, d, 0.0).sum().backward()\n    opt.step()\n",
    ),
    "the logarithm of zero, masked": (
        "non-finite-gradient",
        7,
        MODEL + "def entropy(p):\n    q = p * p.log()\n    return q.masked_fill(q.isnan(), 0.0).sum()\n"
        "entropy(model(x).relu() * 0).backward()\nopt.step()\n",
    ),
    "the root of zero, at a late step": (
        "non-finite-gradient",
        10,
        MODEL + "for i in range(30):\n    opt.zero_grad()\n    h = model(x)\n    h = h * 0 if i == 21 else h\n"
        "    d = h.pow(2).sqrt()\n    torch.where(d > 0, d, 0.0).sum().backward()\n    opt.step()\n",
    ),
    "a quotient by zero, by hand": (
        "non-finite-gradient",
        3,
        "w = torch.zeros(2, requires_grad=True)\nmask = w > 0\nr = 1.0 / w\n"
        "torch.where(mask, r, 0.0).sum().backward()\nprint(w.grad)\n",
    ),
}

SOUND = {
    "heads in a ModuleList": LISTED.format(heads="nn.ModuleList([nn.Linear(3, 1)])", head="self.heads[0]")
    + "model = Net()\n"
    + LOOP,
    "a frozen teacher in a list": LISTED.format(heads="[nn.Linear(3, 1).requires_grad_(False)]", head="self.heads[0]")
    + "model = Net()\n"
    + LOOP,
    "a part of a model with its own parameters is trained": HEAD
    + "class Scale(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    "        self.s = nn.Parameter(torch.ones(3))\n    def forward(self, h):\n        return h * self.s\n"
    "model = nn.Sequential(nn.Linear(3, 3), Scale(), nn.Linear(3, 1))\n"
    "opt = torch.optim.SGD(model[2].parameters(), lr=0.1)\n"
    "for _ in range(2):\n    opt.zero_grad()\n    (model(x) - y).pow(2).mean().backward()\n    opt.step()\n",
    "an input is kept": LISTED.format(heads="None", head="(lambda h: self.keep(h).sum(1, True))")
    + "    def keep(self, h):\n        self.seen = torch.ones(3, requires_grad=True)\n        return h * self.seen\n"
    "model = Net()\n" + LOOP,
    "a list of what is registered": LISTED.format(
        heads="[self.body, *self.body.parameters()]", head="(lambda h: h.sum(1, True))"
    )
    + "model = Net()\n"
    + LOOP,
    "a part of a model is trained": HEAD
    + "model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))\nopt = torch.optim.SGD(model[1].parameters(), lr=0.1)\n"
    "for _ in range(2):\n    opt.zero_grad()\n    (model(x) - y).pow(2).mean().backward()\n    opt.step()\n",
    "a group is added": HEAD
    + "model = nn.Linear(3, 3)\nopt = torch.optim.SGD(model.parameters(), lr=0.1)\nhead = nn.Linear(3, 1)\n"
    "opt.add_param_group({'params': head.parameters()})\n"
    "for _ in range(2):\n    opt.zero_grad()\n    (head(model(x)) - y).pow(2).mean().backward()\n    opt.step()\n",
    "a step before the backward that uses the last one": MODEL
    + "for _ in range(3):\n    loss = (model(x) - y).pow(2).mean()\n    opt.step()\n    opt.zero_grad()\n"
    "    loss = (model(x) - y).pow(2).mean()\n    loss.backward()\n",
    "zeroed by hand after the step": MODEL
    + "for _ in range(3):\n    (model(x) - y).pow(2).mean().backward()\n    opt.step()\n"
    "    for p in model.parameters():\n        p.grad.zero_()\n",
    "accumulated": MODEL + "for i in range(4):\n    (model(x) - y).pow(2).mean().backward()\n"
    "    if i % 2:\n        opt.step(); opt.zero_grad()\n",
    "clipped in time": MODEL + "for _ in range(3):\n    opt.zero_grad()\n    (model(x) - y).pow(2).mean().backward()\n"
    "    nn.utils.clip_grad_norm_(model.parameters(), 0.1)\n    opt.step()\n",
    "clipped last of all": MODEL + "opt.zero_grad()\n(model(x) - y).pow(2).mean().backward()\nopt.step()\n"
    "opt.zero_grad()\n(model(x) - y).pow(2).mean().backward()\n"
    "print(nn.utils.clip_grad_norm_(model.parameters(), 0.1))\n",
    "unscaled, then clipped": MODEL + "scaler = torch.amp.GradScaler('cpu')\nfor _ in range(2):\n    opt.zero_grad()\n"
    "    scaler.scale((model(x) - y).pow(2).mean()).backward()\n    scaler.unscale_(opt)\n"
    "    nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n    scaler.step(opt)\n    scaler.update()\n",
    "two players": HEAD + "G, D = nn.Linear(3, 3), nn.Linear(3, 1)\noptG = torch.optim.SGD(G.parameters(), lr=0.1)\n"
    "optD = torch.optim.SGD(D.parameters(), lr=0.1)\nfor _ in range(3):\n    fake = G(x)\n    optD.zero_grad()\n"
    "    (D(fake.detach()) - D(x)).mean().backward()\n    optD.step()\n    optG.zero_grad()\n"
    "    (-D(fake)).mean().backward()\n    optG.step()\n",
    "sharpness aware": MODEL
    + "for _ in range(3):\n    (model(x) - y).pow(2).mean().backward()\n    moved = []\n    with torch.no_grad():\n"
    "        for p in model.parameters():\n            e = 0.01 * p.grad\n"
    "            p.add_(e)\n            moved.append(e)\n"
    "    opt.zero_grad()\n    (model(x) - y).pow(2).mean().backward()\n    with torch.no_grad():\n"
    "        for p, e in zip(model.parameters(), moved):\n"
    "            p.sub_(e)\n    opt.step()\n    opt.zero_grad()\n",
    "gradient surgery": MODEL
    + "for _ in range(2):\n    kept = []\n    for task in range(2):\n        opt.zero_grad()\n"
    "        (model(x) - y * task).pow(2).mean().backward()\n"
    "        kept.append([p.grad.clone() for p in model.parameters()])\n"
    "    for p, a, b in zip(model.parameters(), *kept):\n        p.grad = a + b\n    opt.step()\n",
    "a delayed policy": HEAD
    + "critic, actor = nn.Linear(3, 1), nn.Linear(3, 3)\noptC = torch.optim.SGD(critic.parameters(), lr=0.1)\n"
    "optA = torch.optim.SGD(actor.parameters(), lr=0.1)\nfor i in range(4):\n    optC.zero_grad()\n"
    "    (critic(actor(x).detach()) - y).pow(2).mean().backward()\n    optC.step()\n    if i % 2:\n"
    "        optA.zero_grad()\n        (-critic(actor(x))).mean().backward()\n        optA.step()\n",
    "a closure": HEAD
    + "model = nn.Linear(3, 1)\nopt = torch.optim.LBFGS(model.parameters(), max_iter=3)\ndef closure():\n"
    "    opt.zero_grad()\n    loss = (model(x) - y).pow(2).mean()\n    loss.backward()\n    return loss\n"
    "for _ in range(2):\n    opt.step(closure)\n",
    "the root of what is kept from zero": MODEL + "for _ in range(2):\n    opt.zero_grad()\n"
    "    (model(x) * 0).pow(2).clamp_min(1e-8).sqrt().sum().backward()\n    opt.step()\n",
    "an infinite derivative that no gradient meets": (
        "w = torch.zeros(2, requires_grad=True)\nv = w.sqrt()\n(w * 2).sum().backward()\nprint(w.grad)\n"
    ),
    "a custom function named as PyTorch's that is flat": MODEL
    + "class Round(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, x):\n        return x.round()\n"
    "    @staticmethod\n    def backward(ctx, g):\n        return g\n"
    "for _ in range(2):\n    opt.zero_grad()\n    (Round.apply(model(x) * 4) - y).pow(2).mean().backward()\n"
    "    opt.step()\n",
    "noise that is scaled": HEAD
    + "enc = nn.Linear(3, 2)\nopt = torch.optim.SGD(enc.parameters(), lr=0.1)\nfor _ in range(2):\n"
    "    mean, log_std = enc(x).chunk(2, 1)\n    z = mean + log_std.exp() * torch.normal(0.0, 1.0, mean.shape)\n"
    "    opt.zero_grad()\n    (z - y).pow(2).mean().backward()\n    opt.step()\n",
    "drawn, and straight through": (
        "p = torch.nn.Parameter(torch.zeros(3))\nopt = torch.optim.SGD([p], lr=0.1)\nfor _ in range(2):\n"
        "    opt.zero_grad()\n    q = p.sigmoid()\n    gate = torch.bernoulli(q) + q - q.detach()\n"
        "    (gate * 3).sum().backward()\n    opt.step()\n"
    ),
    "drawn, and its log probability": (
        "p = torch.nn.Parameter(torch.zeros(3))\nopt = torch.optim.SGD([p], lr=0.1)\nfor _ in range(2):\n"
        "    q = p.sigmoid()\n    a = torch.bernoulli(q)\n    opt.zero_grad()\n"
        "    (-(a * q.log() + (1 - a) * (1 - q).log()) * a.sum().detach()).sum().backward()\n    opt.step()\n"
    ),
    "an attack on the input between": MODEL
    + "for _ in range(3):\n    x = x.detach().requires_grad_()\n    (model(x) - y).pow(2).mean().backward()\n"
    "    worse = (x + 0.1 * x.grad.sign()).detach()\n    opt.zero_grad()\n"
    "    (model(worse) - y).abs().mean().backward()\n    opt.step()\n",
    "a norm that is logged between": MODEL
    + "for _ in range(3):\n    opt.zero_grad()\n    model(x).pow(2).mean().backward()\n"
    "    print(nn.utils.clip_grad_norm_(model.parameters(), 1e9))\n    opt.zero_grad()\n"
    "    (model(x) - y).pow(2).mean().backward()\n    opt.step()\n",
    "one of two heads cleared between": HEAD + "body, head = nn.Linear(3, 3), nn.Linear(3, 1)\n"
    "opt = torch.optim.SGD([*body.parameters(), *head.parameters()], lr=0.1)\nfor _ in range(3):\n"
    "    opt.zero_grad()\n    (head(body(x)) - y).pow(2).mean().backward()\n    head.zero_grad()\n"
    "    (head(body(x).detach()) - y).abs().mean().backward()\n    opt.step()\n",
    "one network through another's optimizer": HEAD
    + "G, D = nn.Linear(3, 3), nn.Linear(3, 1)\noptG = torch.optim.SGD(G.parameters(), lr=0.1)\n"
    "optD = torch.optim.SGD(D.parameters(), lr=0.1)\nfor _ in range(3):\n    optD.zero_grad()\n"
    "    (D(G(x)) - D(x)).mean().backward()\n    optD.step()\n    optG.zero_grad()\n"
    "    (-D(G(x))).mean().backward()\n    optG.step()\n",
    "straight through": MODEL
    + "for _ in range(2):\n    opt.zero_grad()\n    q = model(x)\n    q = q + (q.round() - q).detach()\n"
    "    (q - y).pow(2).mean().backward()\n    opt.step()\n",
    "detached in the first turn only": HEAD
    + "G, D = nn.Linear(3, 3), nn.Linear(3, 1)\noptG = torch.optim.SGD(G.parameters(), lr=0.1)\nfor i in range(4):\n"
    "    fake = G(x)\n    fake = fake.detach() if i == 0 else fake\n    optG.zero_grad()\n"
    "    (-D(fake)).mean().backward()\n    optG.step()\n",
    "averaged by hand": MODEL + "import copy\nema = copy.deepcopy(model)\nfor _ in range(3):\n"
    "    with torch.no_grad():\n        target = ema(x)\n"
    "    opt.zero_grad()\n    (model(x) - target).pow(2).mean().backward()\n"
    "    opt.step()\n    with torch.no_grad():\n"
    "        for a, b in zip(ema.parameters(), model.parameters()):\n            a.lerp_(b, 0.1)\n",
}


# What lost a parameter its gradient: the line, the code, and near lines that only look like it.
CUT = {
    "a player's own detach": (
        13,
        HEAD + "G, D = nn.Linear(3, 3), nn.Linear(3, 1)\noptG = torch.optim.SGD(G.parameters(), lr=0.1)\n"
        "optD = torch.optim.SGD(D.parameters(), lr=0.1)\nfor _ in range(3):\n    fake = G(x)\n    optD.zero_grad()\n"
        "    (D(fake.detach()) - D(x)).mean().backward()\n    optD.step()\n    optG.zero_grad()\n"
        "    (-D(fake.detach())).mean().backward()\n    optG.step()\n",
    ),
    "a number that is logged has the value of the loss": (
        3,
        "w = torch.ones(2, requires_grad=True)\nlogged = w.sum().item()\nhinge = (w * 3).mean().item()\n"
        "loss = torch.tensor(hinge - 1.0)\nloss.backward()\n",
    ),
    "a shape, and the values": (
        5,
        "w = torch.ones(2, requires_grad=True)\nv = torch.ones(2, requires_grad=True)\nh = w * 2\n"
        "z = torch.zeros_like(h)\ng = h.detach()\n((g + z) * v).sum().backward()\nprint(w.grad)\n",
    ),
    "switched off for good": (
        3,
        "w = torch.ones(2, requires_grad=True)\ndef validate():\n    torch.set_grad_enabled(False)\n"
        "    return (w * 2).sum().item()\nvalidate()\n(w * 2).sum().backward()\n",
    ),
    "a result made a parameter": (
        7,
        MODEL + "g = nn.Parameter(torch.ones(1))\nweight = nn.Parameter(model.weight * g)\n"
        "(x @ weight.t() - y).pow(2).mean().backward()\nopt.step()\n",
    ),
    "values put in through data": (
        5,
        "w = torch.ones(2, requires_grad=True)\nv = torch.ones(2, requires_grad=True)\nh = w * 2\n"
        "out = torch.zeros(2)\nout.data[:] = h\n(out * v).sum().backward()\nprint(w.grad)\n",
    ),
    "rounded": (
        2,
        "w = torch.ones(2, requires_grad=True)\nq = torch.round(w * 3)\nq.sum().backward()\nprint(w.grad)\n",
    ),
}


def _in_main(text: str) -> str:
    return "def main():\n" + "".join(f"    {line}\n" for line in text.splitlines()) + "main()\n"


def _loud(text: str) -> list[tuple[str, list[int]]]:
    with torch.enable_grad():  # which is as it was afterwards, whatever the code has switched
        findings = record_text("import builtins\nprint = lambda *_: None\n" + text).report.findings
    return [
        (finding.kind, [place.position.line - 2 for place in finding.culprits])
        for finding in findings
        if finding.severity != "info"
    ]


@pytest.mark.parametrize("name", WRONG)
def test_it_is_told(name: str) -> None:
    """The kind and the line of the culprit are told, and nothing else."""
    kind, line, text = WRONG[name]

    found = _loud(text)

    assert [one for one, _ in found] == [kind]
    assert line in found[0][1]


@pytest.mark.parametrize("name", WRONG)
def test_it_is_told_in_a_function_too(name: str) -> None:
    """A diagnosis does not depend on whether the code is a function's."""
    kind, line, text = WRONG[name]

    found = _loud(_in_main(text))

    assert [one for one, _ in found] == [kind]
    assert line + 1 in found[0][1]


@pytest.mark.parametrize("name", SOUND)
def test_sound_code_is_quiet(name: str) -> None:
    """Programs that drop, clip, detach or leave out gradients on purpose are not alarmed."""
    assert _loud(SOUND[name]) == []


@pytest.mark.parametrize("name", SOUND)
def test_sound_functions_are_quiet(name: str) -> None:
    """Nor are they in a function."""
    assert _loud(_in_main(SOUND[name])) == []


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("wrap", [False, True], ids=["plain", "in a function"])
def test_the_cut_is_the_one_to_undo(name: str, *, wrap: bool) -> None:
    """The line without which the gradient would be there is told, and no other that cuts a path."""
    line, text = CUT[name]
    if wrap:
        text = _in_main(text)

    found = _loud(text)

    assert [kind for kind, _ in found] == ["graph-detached"]
    assert line + wrap in found[0][1]

"""What was kept by reference, written and read back, in many styles: the three lines; and the sound twins of each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inplace.checks.shared_reference import SharedReference
from tests.commands import run_inplace, script
from tests.recording import record_text

NET = "net = nn.Linear(2, 1)\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\nx = torch.ones(3, 2)\n"
STEP = "opt.zero_grad()\nnet(x).pow(2).mean().backward()\nopt.step()\n"
FIT = "def fit(net, opt, x):\n    opt.zero_grad()\n    net(x).pow(2).mean().backward()\n    opt.step()\n"
STOPPER = """
class Stopper:
    def __init__(self):
        self.state = None
    def keep(self, model):
        self.state = {kept}
    def restore(self, model):
        model.load_state_dict(self.state)
"""

MEAN = (
    "import copy\nclass Mean:\n    def __init__(self, net):\n        {first}\n        {second}\n"
    "    def move(self):\n        with torch.no_grad():\n"
    "            for t, s in zip(self.teacher.parameters(), self.student.parameters()):\n"
    "                t.mul_(0.9).add_(s, alpha=0.1)\nmean = Mean(net)\n"
)
TWO = "a, b = (torch.ones(3, requires_grad=True) for _ in 'ab')\nopt = torch.optim.Adam([a, b], lr=0.1)\n"
GIVEN = TWO + "g = torch.full((3,), 5.0)\nfor p in (a, b):\n    p.grad = g\n"


def test_a_whole_state_dict_is_told_of_once() -> None:
    """One finding has the lines; that the bias is the same bytes too is no second one. Another line's reference is."""
    code = NET + "best = net.state_dict()\n" + STEP + "net.load_state_dict(best)"
    told = [one.how for one in record_text(code).report.of_type(SharedReference)]
    other = code + "\nbias = net.bias.data\nwith torch.no_grad():\n    net.bias.add_(1)"
    more = [one.how for one in record_text(other).report.of_type(SharedReference)]

    assert told == ["restored"]
    assert more == ["restored", "snapshot"]


# The code, the lines of the culprits, and the line of the victim.
WARNED = {
    "one gradient of two leaves, clipped": (GIVEN + "nn.utils.clip_grad_norm_([a, b], 1.0)\nopt.step()", [6, 5], 7),
    "one gradient of two leaves, added to": (GIVEN + "(a * 2 + b).sum().backward()\nopt.step()", [6, 5], 7),
    "one gradient of two leaves, divided": (GIVEN + "for p in (a, b):\n    p.grad.div_(2)\nopt.step()", [7, 5], 8),
    "one gradient of two leaves, line by line": (
        TWO + "a.grad = torch.ones(3)\nb.grad = a.grad\ntorch._foreach_mul_([p.grad for p in (a, b)], 0.5)\nopt.step()",
        [5, 4],
        6,
    ),
    "a state dict compared with the model": (
        NET + "best = net.state_dict()\n" + STEP + "torch.equal(best['weight'], net.weight)",
        [7, 4],
        8,
    ),
    "a detached weight in a distance": (
        FIT + "def main():\n    net = nn.Linear(2, 1)\n    opt = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        "    old = net.weight.detach()\n    fit(net, opt, torch.ones(3, 2))\n"
        "    return (net.weight - old).norm()\nmain()",
        [4, 8],
        10,
    ),
    "targets written into the prediction": (
        "def targets(q):\n    t = q.detach()\n    t[:, 0] = 1.0\n    return t\n"
        "q = nn.Linear(2, 2)(torch.ones(3, 2))\nloss = nn.functional.mse_loss(q, targets(q))\nloss.backward()",
        [3, 2],
        6,
    ),
    "data kept in a dict, and compared": (
        NET
        + "before = {name: p.data for name, p in net.named_parameters()}\n"
        + STEP
        + "for name, p in net.named_parameters():\n    torch.allclose(before[name], p)",
        [7, 4],
        9,
    ),
    "a view of a row, and the row": ("x = torch.zeros(3, 2)\nrow = x[0]\nx.add_(1)\n(row - x[0]).sum()", [3, 2], 4),
    "a state dict restored by an object": (
        STOPPER.format(kept="model.state_dict()") + NET + "s = Stopper()\ns.keep(net)\n" + STEP + "s.restore(net)",
        [15, 5],
        7,
    ),
    "detached weights copied back": (
        NET
        + "kept = [p.detach() for p in net.parameters()]\n"
        + STEP
        + "with torch.no_grad():\n    for p, k in zip(net.parameters(), kept):\n        p.copy_(k)",
        [7, 4],
        10,
    ),
    "gradients compared": (
        NET + "net(x).sum().backward()\nkept = [p.grad for p in net.parameters()]\nnet.zero_grad(set_to_none=False)\n"
        "net(x).pow(2).sum().backward()\ntorch.cosine_similarity(kept[0], net.weight.grad)",
        [6, 5],
        8,
    ),
    "a gradient in an object's attribute": (
        "class Watch:\n    def __init__(self, p):\n        self.p, self.last = p, None\n    def drift(self):\n"
        "        now = self.p.grad\n        out = None if self.last is None else (self.last - now).abs().sum()\n"
        "        self.last = now\n        return out\n" + NET + "w = Watch(net.weight)\nfor _ in range(2):\n"
        "    net.zero_grad(set_to_none=False)\n    net(x).pow(2).sum().backward()\n    w.drift()",
        [14, 7],
        6,
    ),
    "gradients of tasks collected": (
        "def collect(net, x):\n    found = []\n    for power in (1, 2):\n        net.zero_grad(set_to_none=False)\n"
        "        net(x).pow(power).sum().backward()\n        found.append([p.grad for p in net.parameters()])\n"
        "    return found\nnet, x = nn.Linear(2, 1), torch.ones(3, 2)\nfor p in net.parameters():\n"
        "    p.grad = torch.zeros_like(p)\nfor grads in collect(net, x):\n"
        "    torch.cat([g.flatten() for g in grads]).norm()",
        [4, 6],
        12,
    ),
    "detached states collected in a loop": (
        "def roll(steps):\n    h, seen = torch.zeros(2), []\n    for t in range(steps):\n        h.add_(1)\n"
        "        seen.append(h.detach())\n    return [one.norm() for one in seen]\nroll(3)",
        [4, 5],
        6,
    ),
    "a second name before a write": (
        "def run(x):\n    old = x\n    x += 1\n    return (x * old).sum()\nrun(torch.ones(2))",
        [3, 2],
        4,
    ),
    "noise for the input, and the clean target": (
        "def loss(img, net):\n    noisy = img\n    noisy.add_(torch.rand(2, 2))\n    out = net(noisy)\n"
        "    return nn.functional.mse_loss(out, img)\nloss(torch.rand(2, 2), nn.Linear(2, 2)).backward()",
        [3, 2],
        5,
    ),
    "an array kept for a difference": (
        "t = torch.ones(4)\nbefore = t.numpy()\nt += 1\ndelta = torch.tensor(t.numpy() - before)",
        [3, 2],
        4,
    ),
    "an array kept for a function within": (
        "def outer(t):\n    before = t.numpy()\n    def step():\n        nonlocal t\n        t += 1\n"
        "        return torch.tensor(t.numpy() - before)\n    return step()\nouter(torch.ones(4))",
        [5, 2],
        6,
    ),
    "an array of the module, read in a function": (
        "t = torch.ones(4)\nbefore = t.numpy()\ndef moved():\n    return torch.tensor(t.numpy() - before)\n"
        "t += 1\nmoved()",
        [5, 2],
        4,
    ),
    "an array in each turn, and none before": (
        "before, t = None, torch.ones(4)\nfor _ in range(2):\n    before = t.numpy()\n    t += 1\n"
        "    delta = torch.tensor(t.numpy() - before)\n    before = None",
        [4, 3],
        5,
    ),
    "an array or its copy": (
        "t, flag = torch.ones(4), True\nif flag:\n    before = t.numpy()\nelse:\n    before = t.numpy().copy()\n"
        "t += 1\ndelta = torch.tensor(t.numpy() - before)",
        [6, 3],
        7,
    ),
    "dropout in place on what the caller keeps": (
        "class Head(nn.Module):\n    def forward(self, x):\n"
        "        x = nn.functional.dropout(x, 0.5, True, inplace=True)\n"
        "        return x.sum()\ndef run(net, head, x):\n    z = net(x)\n    out = head(z)\n"
        "    return out + z.pow(2).sum()\n"
        "run(nn.Linear(2, 2), Head(), torch.ones(3, 2)).backward()",
        [3, 7],
        8,
    ),
    "relu in place by a module of a block": (
        "class Block(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.act = nn.ReLU(inplace=True)\n"
        "        self.fc = nn.Linear(2, 2)\n    def forward(self, x):\n        return self.fc(self.act(x))\n"
        "x = torch.randn(3, 2)\ny = Block()(x) + x",
        [7, 9],
        9,
    ),
    "a default that grows": (
        "def total(rows, acc=torch.zeros(2)):\n    for r in rows:\n        acc += r\n    return acc\n"
        "a = total(torch.ones(3, 2)).clone()\nb = total(torch.ones(3, 2))",
        [3, 1],
        3,
    ),
    "a teacher that is a shallow copy": (
        NET + MEAN.format(first="self.student = net", second="self.teacher = copy.copy(net)") + STEP + "mean.move()",
        [16, 8],
        12,
    ),
    "a teacher that is the student": (
        NET + MEAN.format(first="self.student = net", second="self.teacher = net") + STEP + "mean.move()",
        [16, 8],
        12,
    ),
    "a teacher that is kept first, as a shallow copy": (
        NET + MEAN.format(first="self.teacher = copy.copy(net)", second="self.student = net") + STEP + "mean.move()",
        [16, 7],
        12,
    ),
    "a default that grows, of a function that one line calls in a loop": (
        "def total(rows, acc=torch.zeros(2)):\n    for r in rows:\n        acc += r\n    return acc\n"
        "for _ in range(3):\n    rows = torch.ones(3, 2)\n    print(total(rows).sum().item())",
        [3, 1],
        3,
    ),
    "a default that another method changes, in a module that is trained": (
        NET + "class Memory(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.net = nn.Linear(2, 1)\n    def forward(self, x, mem=torch.zeros(2)):\n"
        "        return self.net(self.remember(x, mem))\n    def remember(self, x, mem):\n"
        "        mem.lerp_(x.mean(0), 0.5)\n        return mem.clone()\nmemory = Memory()\n"
        "for _ in range(2):\n    memory(x + 1).sum().backward()",
        [11, 8],
        11,
    ),
    "a data set that normalises what it keeps": (
        "class Data:\n    def __init__(self):\n        self.images = torch.rand(3, 4)\n"
        "    def __getitem__(self, i):\n"
        "        image = self.images[i]\n        return image.sub_(0.5).div_(0.25)\ndata = Data()\n"
        "for epoch in range(2):\n    torch.stack([data[i] for i in range(3)]).mean()",
        [6],
        6,
    ),
}
WARNED.update(
    {
        "a data set that changes the items of its cache": (
            "class Data:\n    def __init__(self):\n        self.cache = {i: torch.rand(4) for i in range(3)}\n"
            "    def __getitem__(self, i):\n"
            "        image = self.cache[i]\n        image -= 0.5\n        return image\ndata = Data()\n"
            "for epoch in range(2):\n    torch.stack([data[i] for i in range(3)]).mean()",
            [6],
            6,
        ),
        "an attack that moves the image": (
            "def attack(x):\n    adv = x\n    for _ in range(2):\n        adv += 0.1\n    return adv\n"
            "def main():\n    x = torch.rand(3)\n    adv = attack(x)\n    return (adv - x).abs().max()\nmain()",
            [4, 2],
            9,
        ),
        "a transform that works in place, and the clean target": (
            "class Noise:\n    def __call__(self, x):\n        return x.add_(torch.randn_like(x))\n"
            "net, noise, loss = nn.Linear(2, 2), Noise(), nn.MSELoss()\nclean = torch.rand(3, 2)\n"
            "noisy = noise(clean)\n"
            "loss(net(noisy), clean).backward()",
            [3, 6],
            7,
        ),
        "parameters listed before the step": (
            NET
            + "old = list(net.parameters())\n"
            + STEP
            + "sum((a - b).abs().sum() for a, b in zip(old, net.parameters()))",
            [7, 4],
            8,
        ),
        "a target that is the online network": (
            "class Agent:\n    def __init__(self):\n        self.online = nn.Linear(2, 2)\n"
            "        self.target = self.online\n"
            "    def follow(self):\n        with torch.no_grad():\n"
            "            for t, o in zip(self.target.parameters(), self.online.parameters()):\n"
            "                t.mul_(0.9).add_(o, alpha=0.1)\na = Agent()\na.follow()",
            [8, 4],
            8,
        ),
        "a teacher that is the student": (
            "def run(x):\n    student = nn.Linear(2, 2)\n    teacher = student\n"
            "    opt = torch.optim.SGD(student.parameters(), lr=0.1)\n    for _ in range(2):\n"
            "        with torch.no_grad():\n            soft = teacher(x)\n        opt.zero_grad()\n"
            "        (student(x) - soft).pow(2).sum().backward()\n        opt.step()\nrun(torch.ones(3, 2))",
            [10, 3],
            7,
        ),
    }
)
# Told without alarm: nobody can say that it was not to follow.
INFORMED = {
    "a closure": (
        "class Mean:\n    def __init__(self):\n        self.mean = torch.zeros(2)\n    def update(self, x):\n"
        "        self.mean.mul_(0.5).add_(x)\n    def centre(self):\n        mean = self.mean\n"
        "        def apply(x):\n            return x - mean\n        return apply\n"
        "m = Mean()\nf = m.centre()\nm.update(torch.ones(2))\nf(torch.ones(2))",
        [5, 7],
        9,
    ),
    "data of a weight, read once the training is over": (
        NET + "w = net.weight.data\n" + STEP + "w.norm()",
        [7, 4],
        8,
    ),
    "an item under a second key": (
        "def get(images):\n    item = {}\n    img = images[0].clone()\n    item['raw'] = img\n    img.sub_(0.5)\n"
        "    return item\nitem = get(torch.rand(2, 3))\nitem['raw'].sum()",
        [5, 4],
        8,
    ),
    "an array looked at": ("t = torch.ones(4)\nseen = t.numpy()\nt += 1\ntorch.tensor(seen).sum()", [3, 2], 4),
}
SOUND = {
    "a copied state dict": NET + "import copy\nbest = copy.deepcopy(net.state_dict())\n"
    "" + STEP + "torch.equal(best['weight'], net.weight)",
    "cloned and restored": STOPPER.format(kept="{k: v.clone() for k, v in model.state_dict().items()}")
    + NET
    + "s = Stopper()\ns.keep(net)\n"
    + STEP
    + "s.restore(net)",
    "a straight-through difference": "x = torch.rand(3, requires_grad=True)\ny = x + (x.round() - x).detach()\n"
    "(y - y.detach()).exp().sum().backward()",
    "a state dict saved and loaded at once": NET + STEP + "net.load_state_dict(net.state_dict())",
    "a tied weight": (
        "class Tied(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.emb = nn.Embedding(4, 2)\n"
        "        self.out = nn.Linear(2, 4, bias=False)\n        self.out.weight = self.emb.weight\n"
        "    def forward(self, i):\n        return self.out(self.emb(i))\nnet = Tied()\n"
        "opt = torch.optim.SGD(net.parameters(), lr=0.1)\nfor _ in range(2):\n    opt.zero_grad()\n"
        "    net(torch.tensor([0, 1])).sum().backward()\n    opt.step()\n"
        "print(torch.equal(net.out.weight, net.emb.weight))"
    ),
    "gradients of tasks cloned into a dict": NET
    + "for p in net.parameters():\n    p.grad = torch.zeros_like(p)\nkept = {}\nfor k in range(2):\n"
    "    net.zero_grad(set_to_none=False)\n    net(x).pow(k + 1).sum().backward()\n"
    "    kept[k] = net.weight.grad.clone()\n(kept[0] * kept[1]).sum()",
    "a data set that counts what it gives": (
        "class Data:\n    def __init__(self):\n        self.rows, self.given = torch.rand(3, 4), torch.zeros(())\n"
        "    def __getitem__(self, i):\n        self.given += 1\n        return self.rows[i]\ndata = Data()\n"
        "for epoch in range(2):\n    torch.stack([data[i] for i in range(3)]).mean()"
    ),
    "a short name for an attribute": (
        "class Mean:\n    def __init__(self):\n        self.mean = torch.zeros(2)\n    def update(self, x):\n"
        "        mean = self.mean\n        mean.mul_(0.5).add_(x)\n        return self.mean.sum()\n"
        "m = Mean()\nm.update(torch.ones(2))\nm.update(torch.ones(2))"
    ),
    "handles of gradients": (
        NET + "for _ in range(3):\n    net.zero_grad(set_to_none=False)\n    net(x).sum().backward()\n"
        "    grads = []\n    for p in net.parameters():\n        grads.append(p.grad)\n"
        "    total = torch.cat([g.flatten() for g in grads]).norm()\n    opt.step()"
    ),
    "gradients cloned": (
        NET + "net(x).sum().backward()\nkept = [p.grad.clone() for p in net.parameters()]\n"
        "net.zero_grad(set_to_none=False)\n"
        "net(x).pow(2).sum().backward()\ntorch.cosine_similarity(kept[0], net.weight.grad)"
    ),
    "written through a view, and read": "x = torch.zeros(3, 2)\nrow = x[0]\nrow.add_(1)\n(x[0] - 1).sum()\nx.sum()",
    "a second name after the write": "def run(x):\n    x += 1\n    old = x\n    return (x * old).sum()\n"
    "run(torch.ones(2))",
    "a name that gets its own tensor": "def run(x):\n    old = x\n    x = x + 1\n    x.mul_(2)\n"
    "    return (x - old).sum()\nrun(torch.ones(2))",
    "the same name in a function": (
        "def corrupt(image):\n    image.add_(1).clamp_(0, 1)\n    return image\nimage = torch.rand(4)\n"
        "baseline = image\n"
        "noisy = corrupt(image.clone())\n(noisy - baseline).pow(2).mean()"
    ),
    "an activation in place between layers": (
        "net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(inplace=True), nn.Linear(2, 1))\n"
        "net(torch.ones(3, 2)).sum().backward()"
    ),
    "an activation in place that is given back": (
        "class Act(nn.Module):\n    def forward(self, x):\n        return nn.functional.relu(x, inplace=True)\n"
        "def run(act, x):\n    h = x * 2\n    h = act(h)\n    return h.sum() + h.pow(2).sum()\n"
        "run(Act(), torch.randn(3, requires_grad=True)).backward()"
    ),
    "one gradient of two leaves, only used": GIVEN
    + "opt.step()\nopt.zero_grad()\n(a * 2 + b).sum().backward()\nopt.step()",
    "one gradient of two leaves, cleared": GIVEN + "opt.step()\nopt.zero_grad(set_to_none=False)\nopt.step()",
    "one gradient of two leaves, scaled for both": GIVEN + "g.mul_(0.5)\nopt.step()",
    "one gradient of two leaves, given anew": GIVEN
    + "b.grad = g.clone()\nnn.utils.clip_grad_norm_([a, b], 1.0)\nopt.step()",
    "a gradient of each leaf": (
        TWO + "for p in (a, b):\n    p.grad = torch.ones(3)\nnn.utils.clip_grad_norm_([a, b], 1.0)\nopt.step()"
    ),
    "a default that is only read": "def f(x, w=torch.ones(2)):\n    return (x * w).sum()\nf(torch.ones(2))\n"
    "f(torch.ones(2))",
    "a default that a generator changes while others run": (
        "def totals(rows, acc=torch.zeros(2)):\n    for r in rows:\n        acc += r\n        yield acc.clone()\n"
        "for one in totals(torch.ones(3, 2)):\n    print((one * 2).sum().item())"
    ),
    "a default that is a place for results": (
        "def double(x, place=torch.empty(2)):\n    return torch.mul(x, 2, out=place)\n"
        "for _ in range(3):\n    print(double(torch.ones(2)).sum().item())"
    ),
    "a default that a loop within one call changes": (
        "def total(rows, acc=torch.zeros(2)):\n    for r in rows:\n        acc += r * 2\n    return acc\n"
        "print(total(torch.ones(3, 2)).sum().item())"
    ),
    "a default that each call replaces": "def f(x, acc=None):\n    acc = torch.zeros(2) if acc is None else acc\n"
    "    acc += x\n    return acc\nf(torch.ones(2))\nf(torch.ones(2))",
    "a data set that clones": (
        "class Data:\n    def __init__(self):\n        self.images = torch.rand(3, 4)\n"
        "    def __getitem__(self, i):\n"
        "        return self.images[i].clone().sub_(0.5)\ndata = Data()\nfor epoch in range(2):\n    data[0].mean()"
    ),
    "a data set that fills its cache": (
        "class Data:\n    def __init__(self):\n        self.cache, self.done = torch.zeros(3, 4), set()\n"
        "    def __getitem__(self, i):\n"
        "        if i not in self.done:\n            self.cache[i].copy_(torch.rand(4)).sub_(0.5)\n"
        "            self.done.add(i)\n"
        "        return self.cache[i]\ndata = Data()\nfor epoch in range(2):\n    (data[0] + data[1]).mean()"
    ),
    "counts of classes": "counts = torch.zeros(3)\nfor i in (0, 1, 0):\n    counts[i].add_(1)\n"
    "(counts / counts.sum()).sum()",
    "an array that is a copy": "t = torch.ones(4)\nbefore = t.numpy().copy()\nt += 1\ntorch.tensor(t.numpy() - before)",
    "another array by then": "t = torch.ones(4)\nbefore = t.numpy()\nt += 1\nbefore = torch.zeros(4).numpy()\n"
    "torch.tensor(t.numpy() - before)",
    "another array by then, in the loop": (
        "import numpy as np\nt = torch.ones(4)\nfor _ in range(3):\n    before = t.numpy()\n    t += 1\n"
        "    before = np.zeros(4, np.float32)\n    torch.tensor(t.numpy() - before)"
    ),
    "another array of a function's own": "t = torch.ones(4)\nbefore = t.numpy()\ndef moved(before):\n"
    "    return torch.tensor(t.numpy() - before)\nt += 1\nmoved(torch.zeros(4).numpy())",
    "another array by a function within": (
        "def outer(t):\n    before = t.numpy()\n    def fresh():\n        nonlocal before\n"
        "        before = t.numpy().copy()\n    t += 1\n    fresh()\n    return torch.tensor(t.numpy() - before)\n"
        "outer(torch.ones(4))"
    ),
    "an array taken anew": "t = torch.ones(4)\nfor _ in range(2):\n    now = t.numpy()\n"
    "    torch.tensor(now).sum()\n    t += 1",
    "a loop over two lists": (
        "a, b = [torch.zeros(2) for _ in range(3)], [torch.ones(2) for _ in range(3)]\n"
        "for x, y in zip(a, b):\n    x.add_(y)\nfor x, y in zip(a, a[1:]):\n    x.add_(y)\n(a[0] - b[0]).sum()"
    ),
    "a short name for a module": (
        "class Trainer:\n    def __init__(self, model):\n        self.model = model\n"
        "        self.opt = torch.optim.SGD(model.parameters(), lr=0.1)\n    def step(self, x):\n"
        "        model = self.model\n"
        "        self.opt.zero_grad()\n        model(x).sum().backward()\n        self.opt.step()\n"
        "        return self.model(x).sum()\nt = Trainer(nn.Linear(2, 1))\nt.step(torch.ones(3, 2))\n"
        "t.step(torch.ones(3, 2))"
    ),
    "a deep copy as the target": (
        "import copy\ndef run(x):\n    online = nn.Linear(2, 2)\n    target = copy.deepcopy(online)\n"
        "    opt = torch.optim.SGD(online.parameters(), lr=0.1)\n    for _ in range(2):\n        opt.zero_grad()\n"
        "        (online(x) - target(x).detach()).pow(2).sum().backward()\n        opt.step()\n"
        "        with torch.no_grad():\n"
        "            for t, o in zip(target.parameters(), online.parameters()):\n"
        "                t.lerp_(o, 0.1)\nrun(torch.ones(3, 2))"
    ),
    "a function that gives a new tensor": (
        "def add_noise(x):\n    return x + torch.randn_like(x)\nclean = torch.rand(3)\nnoisy = add_noise(clean)\n"
        "noisy.clamp_(0, 1)\n(noisy - clean).abs().max()"
    ),
    "a function named for what it does": (
        "def clip_(x):\n    return x.clamp_(0, 1)\nx = torch.rand(3)\ny = clip_(x)\n(x * 2).sum()"
    ),
    "an average of weights": (
        NET
        + "import copy\nema = copy.deepcopy(net)\n"
        + STEP
        + "with torch.no_grad():\n    for a, b in zip(ema.parameters(), net.parameters()):\n        a.lerp_(b, 0.1)"
    ),
}


# Nothing at all is told of these, not even without alarm.
SILENT = {
    "the state of an optimizer, by a shorter name": (
        "class Mean(torch.optim.Optimizer):\n    def __init__(self, params):\n        super().__init__(params, {})\n"
        "    @torch.no_grad()\n    def step(self):\n        for p in self.param_groups[0]['params']:\n"
        "            state = self.state[p]\n            if not state:\n"
        "                state['avg'] = torch.zeros_like(p)\n"
        "            avg = state['avg']\n            update = avg * 0.9 + p.grad\n            p.sub_(update)\n"
        "            avg.mul_(0.9).add_(p.grad)\nnet = nn.Linear(2, 1)\nopt = Mean(net.parameters())\n"
        "for _ in range(3):\n    opt.zero_grad()\n    net(torch.ones(3, 2)).sum().backward()\n    opt.step()"
    ),
    "a cache in place of what was computed": (
        "class Attn(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.proj = nn.Linear(2, 2)\n        self.cache = torch.zeros(4, 2)\n"
        "    def forward(self, x, start, cached):\n        k = self.proj(x)\n"
        "        if cached:\n            self.cache[start : start + 1] = k\n"
        "            k = self.cache[: start + 1]\n"
        "        return torch.sin(k).sum()\nattn = Attn()\nwith torch.no_grad():\n    for start in range(3):\n"
        "        attn(torch.ones(1, 2), start, True)\n"
        "    del start"
    ),
    "a name given anew behind each write": (
        "def run():\n    noise = torch.zeros(3)\n    for _ in range(3):\n        noise.normal_()\n"
        "        with torch.no_grad():\n            kept = noise\n        torch.sin(kept)\nrun()"
    ),
    "a weight that is tied": (
        "e, out = nn.Embedding(4, 2), nn.Linear(2, 4)\nout.weight = e.weight\n"
        "params = {*e.parameters(), *out.parameters()}\nopt = torch.optim.SGD(list(params), lr=0.1)\n"
        "out(e(torch.tensor([1]))).sum().backward()\nopt.step()\ndel params"
    ),
    "a loop over what is written": "saved = [torch.zeros(2), torch.zeros(2)]\nfor s in saved:\n    s.add_(1)",
    "a parameter that is frozen at the end": (
        "net = nn.Linear(2, 1)\nfor p in net.parameters():\n    p.data.clamp_(-1, 1)\n"
        "for p in net.parameters():\n    p.requires_grad = False"
    ),
}
TOLD_ALL_THE_SAME = {
    "a name given anew before each write": (
        "def run():\n    x = torch.zeros(3)\n    for _ in range(3):\n        kept = x\n        x.add_(1)\n"
        "        torch.sin(kept)\nrun()",
        [5, 4],
        6,
    ),
    "a name given anew now and then": (
        "def run():\n    x = torch.zeros(3)\n    for i in range(3):\n        x.add_(1)\n        if i == 0:\n"
        "            kept = x\n        torch.sin(kept)\nrun()",
        [4, 6],
        7,
    ),
    "state that another line writes": (
        "class Bank:\n    def __init__(self, start):\n        self.rows = start\n    def read(self):\n"
        "        return torch.sin(self.rows)\nstart = torch.zeros(3)\nbank = Bank(start)\nfor _ in range(2):\n"
        "    start.mul_(0.5).add_(1)\n    bank.read()",
        [9, 3],
        5,
    ),
}


def told(text: str) -> list[tuple[str, list[int], int | None]]:
    """Each shared reference of a piece of code: how grave, the lines of its culprits, and that of its victim."""
    found = record_text(text).report.of_type(SharedReference)
    return [
        (
            one.severity,
            [place.position.line for place in one.culprits],
            one.victim.place.position.line if one.victim is not None else None,
        )
        for one in found
        if one.keep is not None
    ]


@pytest.mark.parametrize(("text", "culprits", "victim"), WARNED.values(), ids=WARNED)
def test_the_three_lines_are_named(text: str, culprits: list[int], victim: int) -> None:
    """The writing line first, then the one that kept, and the victim is the one that reads it back."""
    loud = [(lines, line) for severity, lines, line in told(text.strip("\n")) if severity == "warning"]

    assert loud[:1] == [(culprits, victim)]


@pytest.mark.parametrize(("text", "culprits", "victim"), INFORMED.values(), ids=INFORMED)
def test_what_may_be_meant_is_told_without_alarm(text: str, culprits: list[int], victim: int) -> None:
    """A reference that follows may be wanted."""
    assert ("info", culprits, victim) in told(text)
    assert [one for one in record_text(text).report.findings if one.severity != "info"] == []


@pytest.mark.parametrize(("text", "culprits", "victim"), TOLD_ALL_THE_SAME.values(), ids=TOLD_ALL_THE_SAME)
def test_the_twins_of_what_is_silent_are_told(text: str, culprits: list[int], victim: int) -> None:
    """Where the name isn't sure to be given anew, or others write, what is read may be a surprise."""
    assert (culprits, victim) in [(lines, line) for _, lines, line in told(text)]


@pytest.mark.parametrize("text", SILENT.values(), ids=SILENT)
def test_what_follows_by_intent_is_not_told(text: str) -> None:
    """A short name, the variable of a loop, and what a line has just been given."""
    assert record_text(text).report.of_type(SharedReference) == []


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND)
def test_sound_code_is_quiet(text: str) -> None:
    """Copies, fresh values, and names that are meant to follow."""
    loud = [(one.kind, one.culprits) for one in record_text(text.strip("\n")).report.findings if one.severity != "info"]

    assert loud == []


DATA_SET = """\
import torch
class Pictures(torch.utils.data.Dataset):
    def __init__(self):
        self.images = [torch.full((2,), 255.0), torch.full((2,), 51.0)]
    def __len__(self):
        return 2
    def __getitem__(self, index):
        image = self.images[index]
        image /= 255
        return image
"""
FIRST = "import torch\nfrom pictures import Pictures\npictures = Pictures()\n"


@pytest.mark.parametrize(
    ("epoch", "places"),
    [
        ("torch.stack([pictures[0], pictures[1]])\n", [("pictures.py", 9), ("script.py", 4), ("script.py", 4)]),
        ("one = pictures[0]; two = pictures[1]\n", [("pictures.py", 9), ("script.py", 4), ("script.py", 4)]),
        ("one = pictures[0]\ntwo = pictures[1]\n", [("pictures.py", 9), ("script.py", 4)]),
    ],
)
def test_calls_of_one_line_that_show_the_same_are_one_finding(
    tmp_path: Path, epoch: str, places: list[tuple[str, int]]
) -> None:
    """Two items of a data set, changed by the same line of it in two calls on one line: both calls are marked."""
    (tmp_path / "pictures.py").write_text(DATA_SET)
    path = script(tmp_path, FIRST + epoch * 2)

    run_inplace("run", "--json", "out.json", path, folder=tmp_path)

    found = json.loads((tmp_path / "out.json").read_text())["diagnoses"]
    loud = [one for one in found if one["severity"] != "info"]
    assert [(Path(one["file"]).name, one["line"]) for one in loud[0]["culprits"]] == places
    assert len(loud) == (1 if len(places) > 2 else 2)
    assert not any(one["kind"] == "shared-reference" for one in found if one["severity"] == "info")

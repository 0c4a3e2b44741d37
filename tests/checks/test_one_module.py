"""One module where several were meant: repeated in an expression, or under a second name; and the sound twins."""

from __future__ import annotations

import pytest

from inplace.checks.shared_reference import SharedReference
from tests.recording import record_text

FIT = """
def fit(net, x, times=2):
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(times):
        opt.zero_grad()
        net(x).pow(2).mean().backward()
        opt.step()
"""
MODULES = {"modules", "made once", "twins"}
HEADED = """class Net(nn.Module):
    def __init__(self, head=nn.Linear(4, 1)):
        super().__init__()
        self.body = nn.Linear(3, 4)
        self.head = head
    def forward(self, x):
        return self.head(self.body(x))
"""
# The code below those lines, the line of the expression or assignment there, and whether it is an alarm.
ONE = {
    "an old policy whose actions the new one is asked of": (
        "new, old = nn.Linear(3, 4), nn.Linear(3, 4)\nopt = torch.optim.SGD(new.parameters(), lr=0.1)\n"
        "for _ in range(2):\n    old = new\n    x = torch.rand(5, 3)\n    with torch.no_grad():\n"
        "        actions = torch.distributions.Categorical(logits=old(x)).sample()\n"
        "        before = torch.distributions.Categorical(logits=old(x)).log_prob(actions)\n"
        "    now = torch.distributions.Categorical(logits=new(x)).log_prob(actions)\n"
        "    opt.zero_grad()\n    (now - before).exp().mean().backward()\n    opt.step()",
        4,
        "warning",
    ),
    "made in a list times n": ("net = nn.Sequential(*[nn.Linear(3, 3)] * 4)\nfit(net, torch.rand(2, 3))", 1, "warning"),
    "in a ModuleList of a module": (
        "class Net(nn.Module):\n    def __init__(self, n):\n        super().__init__()\n"
        "        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(3, 3), nn.ReLU())] * n)\n"
        "    def forward(self, x):\n        for block in self.blocks:\n            x = block(x)\n        return x\n"
        "def main():\n    fit(Net(3), torch.rand(2, 3))\nmain()",
        4,
        "warning",
    ),
    "by fromkeys": (
        "heads = nn.ModuleDict(dict.fromkeys(['a', 'b'], nn.Linear(3, 1)))\nfit(heads['a'], torch.rand(2, 3))",
        1,
        "warning",
    ),
    "an ensemble, each with its optimizer": (
        "def main():\n    member = nn.Linear(3, 1)\n    members = [member for _ in range(3)]\n"
        "    for one in members:\n        fit(one, torch.rand(4, 3))\nmain()",
        3,
        "warning",
    ),
    "by a name that is repeated": (
        "layer = nn.Linear(3, 3)\nnet = nn.Sequential(*[layer] * 3)\nfit(net, torch.rand(2, 3))",
        2,
        "info",
    ),
    "a target under a second name": (
        "def learn(s, t):\n    online = nn.Linear(3, 2)\n    target = online\n"
        "    opt = torch.optim.SGD(online.parameters(), lr=0.1)\n    for _ in range(3):\n"
        "        with torch.no_grad():\n            best = target(t).max(1).values\n"
        "        loss = (online(s)[:, 0] - best).pow(2).mean()\n        opt.zero_grad()\n        loss.backward()\n"
        "        opt.step()\nlearn(torch.rand(4, 3), torch.rand(4, 3))",
        3,
        "warning",
    ),
    "a target whose result is detached": (
        "class Agent:\n    def __init__(self):\n        self.net = nn.Linear(3, 2)\n        self.target = self.net\n"
        "        self.opt = torch.optim.SGD(self.net.parameters(), lr=0.1)\n    def learn(self, s):\n"
        "        best = self.target(s).max(1).values.detach()\n"
        "        loss = nn.functional.mse_loss(self.net(s)[:, 0], 0.9 * best)\n        self.opt.zero_grad()\n"
        "        loss.backward()\n        self.opt.step()\na = Agent()\nfor _ in range(3):\n"
        "    a.learn(torch.rand(4, 3))",
        4,
        "warning",
    ),
    "a target that is put together of the parts of the other": (
        "class Agent:\n    def __init__(self):\n        self.net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))\n"
        "        self.target = nn.Sequential(*list(self.net.children()))\n"
        "        self.opt = torch.optim.SGD(self.net.parameters(), lr=0.1)\n    def learn(self, s):\n"
        "        with torch.no_grad():\n            best = self.target(s).max(1).values\n"
        "        loss = nn.functional.mse_loss(self.net(s)[:, 0], 0.9 * best)\n        self.opt.zero_grad()\n"
        "        loss.backward()\n        self.opt.step()\na = Agent()\nfor _ in range(3):\n"
        "    a.learn(torch.rand(4, 3))",
        4,
        "warning",
    ),
    "a target of its parts that is moved towards it": (
        "def move(target, net):\n    for t, p in zip(target.parameters(), net.parameters()):\n"
        "        t.data.copy_(0.9 * t.data + 0.1 * p.data)\n"
        "net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))\ntarget = nn.Sequential(*net)\n"
        "opt = torch.optim.SGD(net.parameters(), lr=0.1)\nfor _ in range(3):\n    x = torch.rand(4, 3)\n"
        "    with torch.no_grad():\n        best = target(x).max(1).values\n"
        "    loss = (net(x)[:, 0] - best).pow(2).mean()\n    opt.zero_grad()\n    loss.backward()\n    opt.step()\n"
        "    move(target, net)",
        5,
        "warning",
    ),
    "a default of two objects, in a function": (
        HEADED
        + "def main():\n    one, two = Net(), Net()\n    fit(one, torch.rand(2, 3))\n    fit(two, torch.rand(2, 3))\n"
        "main()",
        2,
        "warning",
    ),
    "a default of a function that builds": (
        "def build(n, trunk=nn.Linear(3, 4)):\n    return nn.Sequential(trunk, nn.Linear(4, n))\n"
        "nets = [build(2), build(2)]\nfor net in nets:\n    fit(net, torch.rand(2, 3))",
        1,
        "warning",
    ),
}
SOUND = {
    "a default of one object, with two optimizers": (
        HEADED + "net = Net()\nfit(net, torch.rand(2, 3))\nfit(net, torch.rand(2, 3))"
    ),
    "a default of one object, with optimizers of parts": (
        HEADED + "net = Net()\na = torch.optim.SGD([*net.body.parameters(), *net.head.parameters()], lr=0.1)\n"
        "fit(net.head, torch.rand(2, 4))\nnet(torch.rand(2, 3)).sum().backward()\na.step()"
    ),
    "a default that is copied": (
        HEADED.replace("self.head = head", "import copy; self.head = copy.deepcopy(head)")
        + "fit(Net(), torch.rand(2, 3))\nfit(Net(), torch.rand(2, 3))"
    ),
    "a default that each replaces": (
        HEADED + "fit(Net(nn.Linear(4, 1)), torch.rand(2, 3))\nfit(Net(nn.Linear(4, 1)), torch.rand(2, 3))"
    ),
    "a default that is trained once, and left as it is": (
        HEADED + "fit(Net(), torch.rand(2, 3))\nNet()(torch.rand(2, 3)).sum()"
    ),
    "layers of their own": "net = nn.Sequential(*[nn.Linear(3, 3) for _ in range(3)])\nfit(net, torch.rand(2, 3))",
    "copies": (
        "import copy\nlayer = nn.Linear(3, 3)\nnet = nn.Sequential(*[copy.deepcopy(layer) for _ in range(3)])\n"
        "fit(net, torch.rand(2, 3))"
    ),
    "an activation several times": (
        "acts = [nn.ReLU()] * 2\nnet = nn.Sequential(nn.Linear(3, 3), acts[0], nn.Linear(3, 3), acts[1])\n"
        "fit(net, torch.rand(2, 3))"
    ),
    "a layer in a loop": (
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.layer = nn.Linear(3, 3)\n"
        "    def forward(self, x):\n        for _ in range(3):\n            x = self.layer(x).tanh()\n"
        "        return x\n"
        "fit(Net(), torch.rand(2, 3))"
    ),
    "tied weights": (
        "emb, head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)\nhead.weight = emb.weight\n"
        "fit(nn.Sequential(emb, head), torch.arange(4))"
    ),
    "two branches with one module": (
        "left = nn.Linear(3, 2)\nright = left\nopt = torch.optim.SGD(left.parameters(), lr=0.1)\nfor _ in range(3):\n"
        "    opt.zero_grad()\n    a, b = left(torch.rand(4, 3)), right(torch.rand(4, 3))\n"
        "    (a - b).pow(2).mean().backward()\n    opt.step()"
    ),
    "put together of the parts of another, and trained in its place": (
        "base = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))\nnet = nn.Sequential(*base.children())\n"
        "fit(net, torch.rand(4, 3))\nwith torch.no_grad():\n    print(base(torch.rand(2, 3)).mean().item())"
    ),
    "two branches of the same parts": (
        "left = nn.Sequential(nn.Linear(3, 2))\nright = nn.Sequential(*left)\n"
        "opt = torch.optim.SGD(left.parameters(), lr=0.1)\nfor _ in range(3):\n"
        "    opt.zero_grad()\n    a, b = left(torch.rand(4, 3)), right(torch.rand(4, 3))\n"
        "    (a - b).pow(2).mean().backward()\n    opt.step()"
    ),
    "a copy of the parts": (
        "import copy\nnet = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))\n"
        "target = copy.deepcopy(nn.Sequential(*net))\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        "for _ in range(3):\n    x = torch.rand(4, 3)\n    with torch.no_grad():\n"
        "        best = target(x).max(1).values\n    loss = (net(x)[:, 0] - best).pow(2).mean()\n"
        "    opt.zero_grad()\n    loss.backward()\n    opt.step()"
    ),
    "a habit, and an evaluation": (
        "model = nn.Linear(3, 1)\nnet = model\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\nfor _ in range(3):\n"
        "    opt.zero_grad()\n    net(torch.rand(4, 3)).pow(2).mean().backward()\n    opt.step()\n"
        "    with torch.no_grad():\n        print(model(torch.rand(2, 3)).mean().item())"
    ),
    "repeated and never trained": "net = nn.Sequential(*[nn.Linear(3, 3)] * 4)\nnet(torch.rand(2, 3)).sum()",
}


def told(text: str) -> list[tuple[list[int], str]]:
    """The lines below `fit` that each shared module was kept at or written, and how grave it is."""
    above = FIT.count("\n") - 1
    found = [one for one in record_text(FIT + text).report.of_type(SharedReference) if one.how in MODULES]
    return [([at.position.line - above for at in one.culprits], one.severity) for one in found]


@pytest.mark.parametrize(("text", "line", "severity"), ONE.values(), ids=ONE)
def test_one_module_for_several_is_told(text: str, line: int, severity: str) -> None:
    """The line that repeats it is a culprit; an alarm only where nobody can have wanted one."""
    found = told(text)

    assert len(found) == 1
    assert line in found[0][0]
    assert found[0][1] == severity


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND)
def test_modules_that_are_meant_so_are_not(text: str) -> None:
    """Copies, layers without parameters, and one module on purpose."""
    found = record_text(FIT + text).report.findings

    assert [one for one in found if one.severity != "info" or getattr(one, "how", "") in MODULES] == []

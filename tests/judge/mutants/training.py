"""Training that goes wrong, and changes that train something else."""

from __future__ import annotations

from tests.judge.mutants.program import LEAF, Program

PROGRAMS: dict[str, Program] = {
    "freed-graph, two losses share a trunk": Program(
        LEAF
        + """\
trunk, a, b = nn.Linear(3, 4), nn.Linear(4, 1), nn.Linear(4, 1)
h = trunk(torch.rand(2, 3)).tanh()
a(h).sum().backward()
b(h).pow(2).sum().backward()
""",
        {
            "right": [
                ("a(h).sum().backward()", "a(h).sum().backward(retain_graph=True)"),
            ],
            "wrong": [
                ("b(h).pow(2).sum().backward()", "b(h.detach()).pow(2).sum().backward()"),
                (
                    "a(h).sum().backward()\nb(h).pow(2).sum().backward()",
                    "a(h).sum().backward()\n"
                    "with torch.no_grad():\n"
                    "    h = trunk(torch.rand(2, 3)).tanh()\n"
                    "b(h).pow(2).sum().backward()",
                ),
                ("b(h).pow(2).sum().backward()", "b(h).pow(2).sum().detach().requires_grad_().backward()"),
                ("b(h).pow(2).sum().backward()", "pass"),
                ("a(h).sum().backward()", "a(h.detach()).sum().backward(retain_graph=True)"),
            ],
        },
    ),
    "freed-graph, an RNN state": Program(
        LEAF
        + """\
cell = nn.GRUCell(3, 3)
opt = torch.optim.SGD(cell.parameters(), lr=0.1)
h = torch.zeros(1, 3)
for t in range(3):
    h = cell(torch.rand(1, 3), h)
    opt.zero_grad()
    h.sum().backward()
    opt.step()
""",
        {
            "right": [
                ("    opt.step()", "    opt.step()\n    h = h.detach()"),
            ],
            "wrong": [
                ("    h = cell(torch.rand(1, 3), h)", "    h = cell(torch.rand(1, 3), h).detach()"),
                ("    opt.step()", "    opt.step()\n    h = h.detach() * 0"),
                ("    h.sum().backward()", "    h.sum().backward(retain_graph=True)"),
                ("    opt.step()", "    opt.step()\n    h = cell(torch.rand(1, 3), h.detach())"),
                ("    h.sum().backward()\n    opt.step()", "    h.sum().backward()\n    h = h.detach()"),
            ],
        },
    ),
    "freed-graph, a GAN": Program(
        LEAF
        + """\
G, D = nn.Linear(2, 3), nn.Linear(3, 1)
og, od = torch.optim.SGD(G.parameters(), lr=0.1), torch.optim.SGD(D.parameters(), lr=0.1)
def train(z, real):
    fake = G(z)
    od.zero_grad()
    d_loss = D(fake).mean() - D(real).mean()
    d_loss.backward()
    od.step()
    og.zero_grad()
    g_loss = -D(fake).mean()
    g_loss.backward()
    og.step()
for _ in range(2):
    train(torch.rand(4, 2), torch.rand(4, 3))
""",
        {
            "right": [
                (
                    "    d_loss = D(fake).mean() - D(real).mean()",
                    "    d_loss = D(fake.detach()).mean() - D(real).mean()",
                ),
            ],
            "wrong": [
                ("    g_loss = -D(fake).mean()", "    g_loss = -D(fake.detach()).mean()"),
                (
                    "    d_loss = D(fake).mean() - D(real).mean()",
                    "    d_loss = D(fake).detach().mean() - D(real).mean()",
                ),
                (
                    "    d_loss = D(fake).mean() - D(real).mean()",
                    "    d_loss = D(fake.detach()).mean() - D(real).detach().mean()",
                ),
                (
                    "    d_loss = D(fake).mean() - D(real).mean()",
                    "    d_loss = D(fake.detach()).mean() - D(real).sum()",
                ),
                ("    g_loss.backward()", "    g_loss.detach().requires_grad_().backward()"),
            ],
        },
    ),
    "freed-graph, a running loss": Program(
        LEAF
        + """\
net = nn.Linear(3, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
total = 0.0
for step in range(3):
    loss = net(torch.rand(2, 3)).pow(2).mean()
    total = total + loss
    opt.zero_grad()
    total.backward()
    opt.step()
""",
        {
            "right": [
                ("    opt.step()", "    opt.step()\n    total = total.detach()"),
            ],
            "wrong": [
                ("    opt.step()", "    opt.step()\n    total = total.detach() * 0"),
                ("    total = total + loss", "    total = total + loss.detach()"),
                ("    total = total + loss", "    total = total + loss.detach() if step else loss"),
                (
                    "    total = total + loss\n    opt.zero_grad()\n    total.backward()",
                    "    total = total + loss.item()\n    opt.zero_grad()\n    (loss * 2).backward()",
                ),
            ],
        },
    ),
    "not-optimized, layers in a list": Program(
        LEAF
        + """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(3, 3), nn.Linear(3, 3)]
        self.head = nn.Linear(3, 1)
    def forward(self, t):
        for layer in self.layers:
            t = layer(t).relu()
        return self.head(t)
net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(2):
    opt.zero_grad()
    net(torch.rand(2, 3)).sum().backward()
    opt.step()
""",
        {
            "right": [
                ("[nn.Linear(3, 3), nn.Linear(3, 3)]", "nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])"),
            ],
            "wrong": [
                ("[nn.Linear(3, 3), nn.Linear(3, 3)]", "(nn.Linear(3, 3), nn.Linear(3, 3))"),
                ("[nn.Linear(3, 3), nn.Linear(3, 3)]", "{0: nn.Linear(3, 3), 1: nn.Linear(3, 3)}.values()"),
                ("[nn.Linear(3, 3), nn.Linear(3, 3)]", "nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])[:0]"),
                (
                    "            t = layer(t).relu()",
                    "            with torch.no_grad():\n                t = layer(t).relu()",
                ),
            ],
        },
    ),
    "not-optimized, tensors in a dict": Program(
        LEAF
        + """\
class Bias(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = {"a": nn.Parameter(torch.ones(3))}
        self.lin = nn.Linear(3, 3)
    def forward(self, t):
        return self.lin(t) * self.p["a"]
net = Bias()
opt = torch.optim.Adam(net.parameters())
for _ in range(2):
    opt.zero_grad()
    net(torch.rand(2, 3)).sum().backward()
    opt.step()
""",
        {
            "right": [
                ('{"a": nn.Parameter(torch.ones(3))}', 'nn.ParameterDict({"a": nn.Parameter(torch.ones(3))})'),
            ],
            "wrong": [
                ('{"a": nn.Parameter(torch.ones(3))}', 'nn.ParameterDict({"a": nn.Parameter(torch.zeros(3))})'),
                ('{"a": nn.Parameter(torch.ones(3))}', 'dict(nn.ParameterDict({"a": nn.Parameter(torch.ones(3))}))'),
                ('{"a": nn.Parameter(torch.ones(3))}', '{"a": torch.ones(3)}'),
            ],
        },
    ),
    "gradient-lost-before-step, cleared too early": Program(
        LEAF
        + """\
def fit(net, opt, data):
    for batch in data:
        loss = net(batch).pow(2).mean()
        loss.backward()
        opt.zero_grad()
        opt.step()
net = nn.Linear(3, 1)
fit(net, torch.optim.SGD(net.parameters(), lr=0.1), torch.rand(2, 4, 3))
""",
        {
            "right": [
                ("        opt.zero_grad()\n        opt.step()", "        opt.step()\n        opt.zero_grad()"),
                (
                    "        loss.backward()\n        opt.zero_grad()",
                    "        opt.zero_grad()\n        loss.backward()",
                ),
            ],
            "wrong": [
                (
                    "        opt.zero_grad()\n        opt.step()",
                    "        opt.zero_grad(set_to_none=False)\n        opt.step()",
                ),
                ("        opt.zero_grad()\n        opt.step()", "        opt.zero_grad()"),
                (
                    "        loss.backward()\n        opt.zero_grad()",
                    "        opt.zero_grad()\n        loss.mul(3).backward()",
                ),
                (
                    "        loss.backward()\n        opt.zero_grad()",
                    "        opt.zero_grad()\n        net(batch).detach().requires_grad_().mean().backward()",
                ),
            ],
        },
    ),
    "gradient-lost-before-step, clipped early": Program(
        LEAF
        + """\
net = nn.Linear(3, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(2):
    opt.zero_grad()
    loss = (net(torch.rand(2, 3)) * 10).pow(2).mean()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)
    loss.backward()
    opt.step()
""",
        {
            "right": [
                (
                    "    torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)\n    loss.backward()",
                    "    loss.backward()\n    torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)",
                ),
            ],
            "wrong": [
                (
                    "    torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)\n    loss.backward()",
                    "    torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)\n    (loss * 0.5).backward()",
                ),
                (
                    "    torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)\n    loss.backward()",
                    "    loss.backward()\n"
                    "    torch.nn.utils.clip_grad_norm_(net.parameters(), 0.0)\n"
                    "    opt.zero_grad()",
                ),
                (
                    "    torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)\n    loss.backward()",
                    "    loss.backward()\n    torch.nn.utils.clip_grad_norm_(torch.zeros(1), 0.5)\n    net.zero_grad()",
                ),
            ],
        },
    ),
    "gradients-never-cleared": Program(
        LEAF
        + """\
net = nn.Linear(3, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.01)
for batch in torch.rand(3, 4, 3):
    loss = net(batch).pow(2).mean()
    loss.backward()
    opt.step()
""",
        {
            "right": [
                ("    loss.backward()", "    opt.zero_grad()\n    loss.backward()"),
                ("    opt.step()", "    opt.step()\n    opt.zero_grad()"),
                ("    opt.step()", "    opt.step()\n    net.zero_grad(set_to_none=False)"),
            ],
            "wrong": [
                ("    opt.step()", "    opt.zero_grad()\n    opt.step()"),
                ("    loss.backward()", "    opt.zero_grad()\n    (loss * 0.5).backward()"),
                ("    loss.backward()", "    loss = loss.detach().requires_grad_()\n    loss.backward()"),
                ("    opt.step()", "    pass"),
                ("    opt.step()", "    if loss < 0: opt.step()"),
            ],
        },
    ),
    "non-finite-gradient, entropy": Program(
        LEAF
        + """\
logits = torch.tensor([0.0, 300.0, 0.0], requires_grad=True)
def entropy(p):
    return -(p * p.log()).nansum()
entropy(logits.softmax(0)).backward()
opt = torch.optim.SGD([logits], lr=0.1)
opt.step()
""",
        {
            "right": [
                ("p.log()", "p.clamp_min(1e-8).log()"),
            ],
            "wrong": [
                ("p.log()", "p.log().nan_to_num()"),
                ("p.log()", "p.detach().log()"),
                ("p.log()", "(p + 1).log()"),
            ],
        },
    ),
    "non-finite-gradient, a distance": Program(
        LEAF
        + """\
a = torch.zeros(3, requires_grad=True)
def norm(t):
    return (t * t).sum().sqrt()
norm(a).backward()
torch.optim.SGD([a], lr=0.1).step()
""",
        {
            "right": [
                ("(t * t).sum().sqrt()", "(t * t).sum().clamp_min(1e-12).sqrt()"),
            ],
            "wrong": [
                ("(t * t).sum().sqrt()", "(t * t).sum().sqrt().nan_to_num()"),
                ("(t * t).sum().sqrt()", "((t * t).sum() + 1).sqrt()"),
                ("(t * t).sum().sqrt()", "(t * t).sum().detach().sqrt().requires_grad_()"),
            ],
        },
    ),
    "rebound-leaf, a manual step": Program(
        LEAF
        + """\
w = torch.rand(3, requires_grad=True)
for step in range(2):
    loss = (w * x).sum()
    loss.backward()
    w = w - 0.1 * w.grad
    w.grad = None
""",
        {
            "right": [
                ("    w = w - 0.1 * w.grad", "    with torch.no_grad():\n        w -= 0.1 * w.grad"),
            ],
            "wrong": [
                ("    w = w - 0.1 * w.grad", "    with torch.no_grad():\n        w = w - 0.1 * w.grad"),
                ("    w = w - 0.1 * w.grad", "    w = (w - 0.1 * w.grad).detach()"),
                ("    w = w - 0.1 * w.grad", "    with torch.no_grad():\n        w.sub(0.1 * w.grad)"),
                ("    w = w - 0.1 * w.grad", "    with torch.no_grad():\n        w += 0.1 * w.grad"),
            ],
        },
    ),
    "not-optimized, parameters in a dict": Program(
        LEAF
        + """\
class Bias(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = {"a": nn.Parameter(torch.ones(3))}
        self.lin = nn.Linear(3, 3)
    def forward(self, t):
        return self.lin(t) * self.p["a"]
net = Bias()
opt = torch.optim.Adam(net.parameters())
for _ in range(2):
    opt.zero_grad()
    net(torch.rand(2, 3)).sum().backward()
    opt.step()
""",
        {
            "right": [
                ('{"a": nn.Parameter(torch.ones(3))}', 'nn.ParameterDict({"a": nn.Parameter(torch.ones(3))})'),
            ],
            "wrong": [
                ('{"a": nn.Parameter(torch.ones(3))}', 'nn.ParameterDict({"a": nn.Parameter(torch.zeros(3))})'),
                ('{"a": nn.Parameter(torch.ones(3))}', 'dict(nn.ParameterDict({"a": nn.Parameter(torch.ones(3))}))'),
                ('{"a": nn.Parameter(torch.ones(3))}', '{"a": torch.ones(3)}'),
            ],
        },
    ),
}

"""Writes that break a gradient, and changes that lose something."""

from __future__ import annotations

from tests.judge.mutants.program import LEAF, Program

PROGRAMS: dict[str, Program] = {
    "saved-tensor-modified, a block with forward": Program(
        LEAF
        + """\
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 3)
    def forward(self, t):
        out = torch.sigmoid(self.lin(t))
        out += t
        return out
net = Block()
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(2):
    opt.zero_grad()
    net(torch.rand(2, 3)).sum().backward()
    opt.step()
""",
        {
            "right": [
                ("        out += t", "        out = out + t"),
            ],
            "wrong": [
                ("        out += t", "        out = out * 0.5 + out.detach() * 0.5 + t"),
                ("        out += t", "        out = out.detach() + t + 0 * self.lin(t)"),
                ("        out += t", "        out = t"),
                ("        out += t", "        out = out.data + t"),
                ("        out += t", "        out = out - t"),
            ],
        },
    ),
    "saved-tensor-modified, a loop of gates": Program(
        LEAF
        + """\
w = torch.rand(3, 3, requires_grad=True)
def run(h):
    for t in range(3):
        z = torch.sigmoid(h @ w)
        z *= 0.5
        h = z * h + 1
    return h
run(x).sum().backward()
""",
        {
            "right": [
                ("        z *= 0.5", "        z = z * 0.5"),
                ("        z = torch.sigmoid(h @ w)", "        z = torch.sigmoid(h @ w).clone()"),
            ],
            "wrong": [
                ("        z *= 0.5", "        z = z.detach() * 0.5"),
                ("        z *= 0.5", "        z = z * 0.5 if t else z.detach() * 0.5"),
                ("        z *= 0.5", "        z = z * 0.5 ** t"),
                ("        z *= 0.5", "        z.data *= 0.5"),
            ],
        },
    ),
    "silent-corruption, an EMA written through data": Program(
        LEAF
        + """\
y = x.sigmoid()
ema = y.data
ema.mul_(0.9)
y.sum().backward()
""",
        {
            "right": [],
            "wrong": [
                ("ema = y.data", "ema = y.detach().clone()"),
                ("ema = y.data", "ema = y.detach()"),
                ("ema.mul_(0.9)", "ema.mul_(1.9)"),
                ("ema.mul_(0.9)", "y = y.detach().requires_grad_()"),
            ],
        },
    ),
    "silent-corruption, a function that clamps": Program(
        LEAF
        + """\
def squash(t):
    y = torch.tanh(t)
    y.data.clamp_(max=0.5)
    return y
(squash(x) * torch.arange(1.0, 4.0)).sum().backward()
""",
        {
            "right": [
                ("    y.data.clamp_(max=0.5)", "    y = y.clamp(max=0.5)"),
            ],
            "wrong": [
                ("    y.data.clamp_(max=0.5)", "    y.data.clamp_(max=0.51)"),
                ("    y.data.clamp_(max=0.5)", "    y = y.detach().clamp(max=0.5) + 0 * y"),
                ("    y.data.clamp_(max=0.5)", "    y = y.clone()\n    y.data.clamp_(max=0.5)"),
                ("    y.data.clamp_(max=0.5)", "    pass"),
            ],
        },
    ),
    "silent-corruption, numpy": Program(
        LEAF
        + """\
h = torch.exp(x)
a = h.detach().numpy()
a[0] = 5.0
h.sum().backward()
""",
        {
            "right": [],
            "wrong": [
                ("a = h.detach().numpy()", "a = h.detach().clone().numpy()"),
                ("a = h.detach().numpy()", "a = h.detach().numpy()[:]"),
                ("a[0] = 5.0", "a[:1] = 5.0"),
                ("a = h.detach().numpy()", "h = h.detach()\na = h.numpy()"),
            ],
        },
    ),
    "overlapping-write, counts": Program(
        LEAF
        + """\
counts = torch.zeros(4)
index = torch.tensor([0, 1, 1, 3])
counts[index] += 1
(counts[:3] * x).sum().backward()
""",
        {
            "right": [
                ("counts[index] += 1", "counts.index_add_(0, index, torch.ones(4))"),
            ],
            "wrong": [
                ("counts[index] += 1", "counts[index] = counts[index] + 1"),
                ("counts[index] += 1", "counts[index.unique()] += 1"),
                ("counts[index] += 1", "counts.index_put_((index,), torch.ones(4))"),
            ],
        },
    ),
    "overlapping-write, a shift": Program(
        LEAF
        + """\
def shift(buffer):
    buffer[1:] = buffer[:-1]
    return buffer
b = torch.arange(6.0)
out = shift(b)
(out[:3] * x).sum().backward()
""",
        {
            "right": [
                ("    buffer[1:] = buffer[:-1]", "    buffer[1:] = buffer[:-1].clone()"),
            ],
            "wrong": [
                ("    buffer[1:] = buffer[:-1]", "    buffer[1:] = buffer[:-1].view(-1)"),
                ("    buffer[1:] = buffer[:-1]", "    buffer[1:] = buffer[:-1].detach()"),
                ("    buffer[1:] = buffer[:-1]", "    buffer[1:] = buffer[:-1].contiguous()"),
            ],
        },
    ),
    "lost-write, rows of a cloud in a class": Program(
        LEAF
        + """\
class Cloud:
    def __init__(self, p):
        self.p = p
    def center(self, i):
        self.p[i].sub_(self.p[i].mean(0))
cloud = Cloud(torch.rand(5, 3))
cloud.center(torch.tensor([0, 2]))
(cloud.p[0] * x).sum().backward()
""",
        {
            "right": [
                ("        self.p[i].sub_(self.p[i].mean(0))", "        self.p[i] = self.p[i].sub(self.p[i].mean(0))"),
            ],
            "wrong": [
                ("        self.p[i].sub_(self.p[i].mean(0))", "        self.p[i].clone().sub_(self.p[i].mean(0))"),
                (
                    "        self.p[i].sub_(self.p[i].mean(0))",
                    "        self.p = self.p[i].sub(self.p[i].mean(0))\n        self.p[i].mul_(1)",
                ),
                ("        self.p[i].sub_(self.p[i].mean(0))", "        rows = self.p[i]\n        rows -= rows.mean(0)"),
                ("        self.p[i].sub_(self.p[i].mean(0))", "        pass"),
            ],
        },
    ),
    "lost-write, a result dropped": Program(
        LEAF
        + """\
def attend(scores, mask):
    scores.masked_fill(mask, -1e9)
    return scores.softmax(-1)
out = attend(x.view(1, 3) * torch.ones(3, 1), torch.ones(3, 3, dtype=torch.bool).triu(1))
(out * torch.arange(3.0)).sum().backward()
""",
        {
            "right": [
                ("    scores.masked_fill(mask, -1e9)", "    scores = scores.masked_fill(mask, -1e9)"),
            ],
            "wrong": [
                (
                    "    scores.masked_fill(mask, -1e9)",
                    "    scores = scores.detach().masked_fill(mask, -1e9) + 0 * scores",
                ),
                ("    scores.masked_fill(mask, -1e9)", "    filled = scores.masked_fill(mask, -1e9)"),
                ("    scores.masked_fill(mask, -1e9)", "    pass"),
            ],
        },
    ),
    "shared-reference, states that carry a path": Program(
        LEAF
        + """\
h, kept = torch.zeros(3), []
for t in range(3):
    h += x * (t + 1)
    kept.append(h)
(torch.stack(kept) * torch.arange(9.0).view(3, 3)).sum().backward()
""",
        {
            "right": [
                ("    kept.append(h)", "    kept.append(h.clone())"),
                ("    h += x * (t + 1)", "    h = h + x * (t + 1)"),
            ],
            "wrong": [
                ("    kept.append(h)", "    kept.append(h.detach().clone())"),
                ("    kept.append(h)", "    kept.append(h.clone() if t else h.detach().clone())"),
                ("    kept.append(h)", "    kept.append(h.view(3))"),
                ("    h += x * (t + 1)", "    h = h.detach() + x * (t + 1)"),
            ],
        },
    ),
    "shared-reference, an early stopping state": Program(
        LEAF
        + """\
net = nn.Linear(3, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.5)
best, best_loss = None, float("inf")
for step in range(3):
    opt.zero_grad()
    loss = (net(torch.rand(2, 3)) - step).pow(2).mean()
    if loss.item() < best_loss:
        best_loss, best = loss.item(), net.state_dict()
    loss.backward()
    opt.step()
net.load_state_dict(best)
""",
        {
            "right": [
                ("net.state_dict()", "{k: v.clone() for k, v in net.state_dict().items()}"),
            ],
            "wrong": [
                ("net.state_dict()", "dict(net.state_dict())"),
                ("net.state_dict()", "{k: v.detach() for k, v in net.state_dict().items()}"),
                ("net.state_dict()", "net.state_dict().copy()"),
            ],
        },
    ),
    "overlapping-write, the gradient of a custom function is written": Program(
        LEAF
        + """\
class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, t):
        return t * 2
    @staticmethod
    def backward(ctx, g):
        g.mul_(2)
        return g
h = x.exp()
(Double.apply(h) + h).sum().backward()
""",
        {
            "right": [
                ("        g.mul_(2)\n        return g", "        return g * 2"),
            ],
            "wrong": [
                ("        g.mul_(2)\n        return g", "        g * 2\n        return g"),
                ("        g.mul_(2)\n        return g", "        g.data.mul_(2)\n        return g"),
                ("        g.mul_(2)\n        return g", "        return g.clone()"),
            ],
        },
    ),
    "saved-tensor-modified, an optimizer step between": Program(
        LEAF
        + """\
a, b = nn.Linear(3, 3), nn.Linear(3, 1)
oa, ob = torch.optim.SGD(a.parameters(), lr=0.1), torch.optim.SGD(b.parameters(), lr=0.1)
h = a(torch.rand(2, 3)).tanh()
one, two = b(h.detach()).pow(2).mean(), -b(h).mean()
one.backward()
ob.step()
oa.zero_grad()
two.backward()
oa.step()
""",
        {
            "right": [],
            "wrong": [
                ("oa.zero_grad()\ntwo.backward()", "oa.zero_grad()\ntwo = -b(h).mean()\ntwo.backward()"),
                ("oa.zero_grad()\ntwo.backward()", "oa.zero_grad()\ntwo = -b(h.detach()).mean()\ntwo.backward()"),
                ("ob.step()", "pass"),
                ("oa.zero_grad()\ntwo.backward()", "ob.zero_grad()\noa.zero_grad()\ntwo = b(h).mean()\ntwo.backward()"),
                ("ob.step()\noa.zero_grad()\ntwo.backward()", "oa.zero_grad()\ntwo.backward()\nob.step()"),
            ],
        },
    ),
    "saved-tensor-modified, an EMA of an activation": Program(
        LEAF
        + """\
net = nn.Linear(3, 3)
ema = torch.zeros(2, 3)
def forward(t):
    global ema
    h = torch.sigmoid(net(t))
    ema = 0.9 * ema + 0.1 * h.detach()
    h.sub_(ema)
    return h
forward(torch.rand(2, 3)).pow(2).sum().backward()
""",
        {
            "right": [
                ("    h.sub_(ema)", "    h = h.sub(ema)"),
            ],
            "wrong": [
                ("    h.sub_(ema)", "    h = h.detach().sub(ema) + 0 * h"),
                ("    h.sub_(ema)", "    h = h.sub(ema.clone().zero_())"),
                (
                    "    ema = 0.9 * ema + 0.1 * h.detach()\n    h.sub_(ema)",
                    "    ema = 0.9 * ema + 0.1 * h\n    h = h.sub(ema)",
                ),
            ],
        },
    ),
}

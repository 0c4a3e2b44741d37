"""Code that PyTorch refuses, and changes that lose what it computes."""

from __future__ import annotations

from tests.judge.mutants.program import LEAF, Program

PROGRAMS: dict[str, Program] = {
    "leaf-inplace, a weight clamped in a loop": Program(
        LEAF
        + """\
net = nn.Linear(3, 1)
for step in range(2):
    net(torch.rand(2, 3)).sum().backward()
    net.weight.clamp_(-0.1, 0.1)
""",
        {
            "right": [
                ("    net.weight.clamp_(-0.1, 0.1)", "    with torch.no_grad():\n        net.weight.clamp_(-0.1, 0.1)"),
            ],
            "wrong": [
                ("    net.weight.clamp_(-0.1, 0.1)", "    net.weight.clamp(-0.1, 0.1)"),
                ("    net.weight.clamp_(-0.1, 0.1)", "    net.weight = nn.Parameter(net.weight.clamp(-0.1, 0.1) * 1)"),
                ("    net.weight.clamp_(-0.1, 0.1)", "    net.weight.detach().clone().clamp_(-0.1, 0.1)"),
                ("    net.weight.clamp_(-0.1, 0.1)", "    pass"),
            ],
        },
    ),
    "view-of-leaf-inplace, an input that is masked": Program(
        LEAF
        + """\
def attack(image):
    image[0] = 0
    return (image ** 2).sum()
attack(x).backward()
""",
        {
            "right": [
                ("    image[0] = 0", "    image = image.clone()\n    image[0] = 0"),
            ],
            "wrong": [
                (
                    "    image[0] = 0",
                    "    image = image.detach().clone()\n    image[0] = 0\n    image.requires_grad_()",
                ),
                ("    image[0] = 0", "    image = image.clone()\n    image.data[0] = 0"),
                ("    image[0] = 0", "    image = image.clone()\n    image[1] = 0"),
                (
                    "    image[0] = 0",
                    "    image = image * 1\n"
                    "    image[0] = 0\n"
                    "    image = image + 0.1 * image.detach()\n"
                    "    image = image / 1.1",
                ),
            ],
        },
    ),
    "view-of-leaf-inplace, a row of a weight": Program(
        LEAF
        + """\
w = torch.rand(3, 2, requires_grad=True)
row = w[0]
row.mul_(2)
(w ** 2).sum().backward()
""",
        {
            "right": [
                ("row.mul_(2)", "with torch.no_grad():\n    row.mul_(2)"),
            ],
            "wrong": [
                ("row.mul_(2)", "row = row.mul(2)"),
                ("row.mul_(2)", "with torch.no_grad():\n    row.mul(2)"),
                ("row = w[0]", "row = w[0].clone()"),
            ],
        },
    ),
    "multi-output-view-inplace, chunks of gates": Program(
        LEAF
        + """\
class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 6)
    def forward(self, t):
        a, b = self.lin(t).chunk(2, -1)
        a.sigmoid_()
        return (a * b).sum()
net = Cell()
net(torch.rand(2, 3)).backward()
""",
        {
            "right": [
                ("        a.sigmoid_()", "        a = a.sigmoid()"),
            ],
            "wrong": [
                ("        a.sigmoid_()", "        a = a.detach().sigmoid()"),
                ("        a.sigmoid_()", "        a = a.clone().detach().sigmoid_()"),
                ("        a.sigmoid_()", "        a.sigmoid()"),
                ("        a.sigmoid_()", "        with torch.no_grad():\n            a = a.sigmoid()"),
                ("        a.sigmoid_()", "        b = b.sigmoid()"),
            ],
        },
    ),
    "multi-output-view-inplace, unbind in a function": Program(
        LEAF
        + """\
def scaled(t):
    rows = (t.view(3, 1) * torch.ones(2)).unbind(0)
    for r in rows:
        r.mul_(r.detach())
    return sum(r.sum() for r in rows)
scaled(x).backward()
""",
        {
            "right": [
                ("    for r in rows:\n        r.mul_(r.detach())", "    rows = [r * r.detach() for r in rows]"),
            ],
            "wrong": [
                (
                    "    for r in rows:\n        r.mul_(r.detach())",
                    "    rows = [r.detach() * r.detach() for r in rows[1:]] + [rows[0] * rows[0].detach()]",
                ),
                ("    for r in rows:\n        r.mul_(r.detach())", "    rows = [r * 2 for r in rows]"),
                ("    for r in rows:\n        r.mul_(r.detach())", "    rows = [r.clone() for r in rows]"),
            ],
        },
    ),
    "inference-tensor, features": Program(
        LEAF
        + """\
body, head = nn.Linear(3, 4), nn.Linear(4, 1)
with torch.inference_mode():
    feats = body(torch.rand(2, 3))
loss = head(feats).sum()
loss.backward()
""",
        {
            "right": [
                ("loss = head(feats).sum()", "loss = head(feats.clone()).sum()"),
                ("with torch.inference_mode():", "with torch.no_grad():"),
            ],
            "wrong": [
                ("loss = head(feats).sum()", "loss = head(feats.detach()).sum()"),
                ("loss = head(feats).sum()", "with torch.inference_mode():\n    loss = head(feats).sum()"),
                ("with torch.inference_mode():", "with torch.set_grad_enabled(True), torch.inference_mode():"),
            ],
        },
    ),
    "view-of-leaf-inplace, all in main": Program(
        """\
import torch
torch.manual_seed(0)
def mask(image):
    image[0] = 0
    return image
def main():
    w = torch.rand(3, requires_grad=True)
    (mask(w) ** 3).sum().backward()
main()
""",
        {
            "right": [
                ("    image[0] = 0", "    image = image.clone()\n    image[0] = 0"),
            ],
            "wrong": [
                (
                    "    image[0] = 0",
                    "    image = image.detach().clone()\n    image[0] = 0\n    image.requires_grad_()",
                ),
                (
                    "    image[0] = 0",
                    "    image = torch.tensor(image.tolist(), requires_grad=True)\n"
                    "    with torch.no_grad():\n"
                    "        image[0] = 0",
                ),
                (
                    "    image[0] = 0",
                    "    image = torch.where(torch.arange(3) == 0, 0.0, image.detach()).requires_grad_()",
                ),
            ],
        },
    ),
    "custom-function, a gradient too few": Program(
        LEAF
        + """\
class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, t, k):
        ctx.k = k
        return t * k
    @staticmethod
    def backward(ctx, g):
        return g * ctx.k
Scale.apply(x, 3.0).sum().backward()
""",
        {
            "right": [
                ("        return g * ctx.k", "        return g * ctx.k, None"),
            ],
            "wrong": [
                ("        return g * ctx.k", "        return g, None"),
                ("        return g * ctx.k", "        return None, None"),
                ("        return g * ctx.k", "        return g * ctx.k, g.sum()"),
                ("        return t * k", "        return t + k"),
            ],
        },
    ),
    "result-does-not-fit, long counts": Program(
        LEAF
        + """\
counts = torch.zeros(3, dtype=torch.long)
counts += x.detach()
(counts * x).sum().backward()
""",
        {
            "right": [
                ("counts += x.detach()", "counts = counts + x.detach()"),
                ("counts = torch.zeros(3, dtype=torch.long)", "counts = torch.zeros(3)"),
            ],
            "wrong": [
                ("counts += x.detach()", "counts + x.detach()"),
                ("counts += x.detach()", "counts = counts + x"),
                ("counts += x.detach()", "pass"),
            ],
        },
    ),
    "view-impossible, a transposed batch": Program(
        LEAF
        + """\
def flat(t):
    y = t.t().view(-1)
    return y
m = x.view(3, 1) * torch.arange(1.0, 3.0)
(flat(m) * torch.arange(6.0)).sum().backward()
""",
        {
            "right": [
                ("    y = t.t().view(-1)", "    y = t.t().reshape(-1)"),
                ("    y = t.t().view(-1)", "    y = t.t().contiguous().view(-1)"),
            ],
            "wrong": [
                ("    y = t.t().view(-1)", "    y = t.view(-1)"),
                ("    y = t.t().view(-1)", "    y = t.detach().t().reshape(-1) + 0 * t.sum()"),
                ("    y = t.t().view(-1)", "    y = t.t().reshape(-1).detach().requires_grad_()"),
            ],
        },
    ),
    "export-refused, a plot": Program(
        LEAF
        + """\
import numpy as np
h = x.exp()
curve = h.numpy()
print(float(np.max(curve)))
loss = (h * 2).sum()
loss.backward()
""",
        {
            "right": [
                ("curve = h.numpy()", "curve = h.detach().numpy()"),
            ],
            "wrong": [
                ("curve = h.numpy()", "h = h.detach()\ncurve = h.numpy()"),
                ("curve = h.numpy()", "curve = x.detach().numpy()"),
                ("curve = h.numpy()", "h = h.detach().requires_grad_()\ncurve = h.detach().numpy()"),
            ],
        },
    ),
    "non-scalar-loss, per sample": Program(
        LEAF
        + """\
net = nn.Linear(3, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(2):
    opt.zero_grad()
    loss = (net(torch.rand(4, 3)) - 1).pow(2)
    loss.backward()
    opt.step()
""",
        {
            "right": [
                ("    loss.backward()", "    loss.mean().backward()"),
                ("    loss.backward()", "    loss.sum().backward()"),
            ],
            "wrong": [
                ("    loss.backward()", "    loss.detach().requires_grad_().mean().backward()"),
                ("    loss.backward()", "    loss.tanh().prod().mul(0).backward()"),
                ("    loss.backward()", "    pass"),
                ("    loss.backward()", "    loss.max().detach().requires_grad_().backward()"),
            ],
        },
    ),
}

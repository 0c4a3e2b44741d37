"""Writes that break a gradient or are refused, and changes that lose something."""

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
}

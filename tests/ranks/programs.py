"""Programs that two ranks run, and what is to be found on each: a kind and a line, for rank 0 and for rank 1.

`torch`, `nn`, `dist`, `DDP`, `R` (the rank) are there. A program with nothing to find has a bug's near twin above it.
"""

from __future__ import annotations

from typing import NamedTuple

Found = tuple[tuple[str, int], ...]


class Program(NamedTuple):
    """A program, and what is found in it on rank 0 and on rank 1."""

    text: str
    first: Found
    second: Found


SAVED = "x = torch.ones(4, requires_grad=True)\nh = torch.sigmoid(x * (R + 1))\n"  # 2 lines
NORM = """
class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(4))
        self.register_buffer("scale", torch.ones(4))
    def forward(self, x):
        self.scale = x.detach().abs().mean(0)
        return x * self.w / self.scale{copy}
torch.manual_seed(R)
a, b = torch.randn(3, 4), torch.randn(3, 4)
model = DDP(Norm(){options})
ya = model(a)
yb = model(b)
(ya.sum() + yb.sum()).backward()
""".strip()
HEADS = """
torch.manual_seed(0)
body, head = nn.Linear(4, 4), nn.Linear(4, 2)
opt = torch.optim.SGD([*body.parameters(), *head.parameters()], lr=0.1)
h = body(torch.randn(4, 4))
z = head(h)
{collected}
loss = h.pow(2).mean() + (every @ every.t()).logsumexp(1).mean()
loss.backward()
opt.step()
""".strip()

PROGRAMS: dict[str, Program] = {}


def both(name: str, text: str, *found: tuple[str, int]) -> None:
    """A program of which both ranks say the same."""
    PROGRAMS[name] = Program(text, found, found)


def second(name: str, text: str, *found: tuple[str, int]) -> None:
    """A program of which only rank 1 has anything to say."""
    PROGRAMS[name] = Program(text, (), found)


SILENT, STALE, CUT = "silent-corruption", "saved-tensor-modified", "graph-detached"

# ------------------------------------------------------------ saves overwritten by collectives

both("all_reduce", SAVED + "dist.all_reduce(h)\nh.sum().backward()", (SILENT, 3))
both("all_reduce of a copy", SAVED + "dist.all_reduce(h.detach().clone())\nh.sum().backward()")
both("all_reduce behind backward", SAVED + "h.sum().backward()\ndist.all_reduce(h.detach())")
both(
    "all_reduce of zeros",
    "x = torch.ones(4, requires_grad=True)\nw = torch.zeros(4)\ny = x * w\ndist.all_reduce(w)\ny.sum().backward()",
)
both(
    "all_reduce of data", SAVED + "with torch.no_grad():\n    dist.all_reduce(h.data)\nh.sum().backward()", (SILENT, 4)
)
both("all_reduce of a part", SAVED + "dist.all_reduce(h[1:3])\nh.sum().backward()", (SILENT, 3))
both(
    "all_reduce of the other part",
    "x = torch.ones(2, requires_grad=True)\nw = torch.ones(4)\ny = x * w[:2]\ndist.all_reduce(w[2:])\n"
    "y.sum().backward()",
)
both(
    "all_reduce of much",
    "x = torch.ones(600000, requires_grad=True)\nh = x.exp()\ndist.all_reduce(h)\nh.sum().backward()",
    (SILENT, 3),
)
second("broadcast", SAVED + "dist.broadcast(h, 0)\nh.sum().backward()", (SILENT, 3))
second(
    "broadcast of much",
    "x = torch.full((600000,), R + 1.0, requires_grad=True)\nh = x.exp()\ndist.broadcast(h, src=0)\nh.sum().backward()",
    (SILENT, 3),
)
both(
    "broadcast of what all have",
    "x = torch.ones(4, requires_grad=True)\nh = x.exp()\ndist.broadcast(h, 0)\nh.sum().backward()",
)
PROGRAMS["broadcast from rank 1"] = Program(SAVED + "dist.broadcast(h, 1)\nh.sum().backward()", ((SILENT, 3),), ())
both(
    "scatter",
    SAVED + "dist.scatter(h, [torch.ones(4), torch.ones(4)] if R == 0 else None, 0)\nh.sum().backward()",
    (SILENT, 3),
)
second(
    "recv",
    SAVED + "if R == 0:\n    dist.send(torch.ones(4), 1)\nelse:\n    dist.recv(h, 0)\nh.sum().backward()",
    (SILENT, 6),
)
second(
    "recv elsewhere",
    SAVED + "if R == 0:\n    dist.send(torch.ones(4), 1)\nelse:\n    dist.recv(torch.empty(4), 0)\nh.sum().backward()",
)
both("all_to_all_single", SAVED + "dist.all_to_all_single(h, torch.ones(4))\nh.sum().backward()", (SILENT, 3))
both(
    "both ways",
    SAVED
    + "ops = [dist.P2POp(dist.isend, torch.ones(4), 1 - R), dist.P2POp(dist.irecv, h, 1 - R)]\n"
    + "for work in dist.batch_isend_irecv(ops):\n    work.wait()\nh.sum().backward()",
    (SILENT, 4),
)
both("waited for", SAVED + "work = dist.all_reduce(h, async_op=True)\nwork.wait()\nh.sum().backward()", (SILENT, 3))
both(
    "a copy waited for",
    SAVED + "work = dist.all_reduce(h.detach().clone(), async_op=True)\nwork.wait()\nh.sum().backward()",
)
GATHERED = "x = torch.ones(4, requires_grad=True)\nparts = [torch.zeros(4) for _ in range(2)]\ny = x * parts[0]\n"
RAISES = "try:\n    y.sum().backward()\nexcept RuntimeError:\n    pass"
both("all_gather", GATHERED + "dist.all_gather(parts, torch.ones(4))\n" + RAISES, (STALE, 4))
both(
    "all_gather waited for",
    GATHERED + "dist.all_gather(parts, torch.ones(4), async_op=True).wait()\n" + RAISES,
    (STALE, 4),
)
both(
    "all_gather into others", GATHERED + "dist.all_gather([torch.zeros(4) for _ in range(2)], torch.ones(4))\n" + RAISES
)
TOGETHER = """
x = torch.ones(4, requires_grad=True)
h = torch.full((4,), R + 1.0)
y = x * h
with dist._coalescing_manager(async_ops=False):
    dist.all_reduce({what})
try:
    y.sum().backward()
except RuntimeError:
    pass
""".strip()
both("all_reduce together with others", TOGETHER.format(what="h"), (STALE, 5))
both("all_reduce of a copy together with others", TOGETHER.format(what="h.clone()"))
both(
    "inside a function",
    "def logged(loss):\n    dist.all_reduce(loss)\n    return loss.item()\n"
    + SAVED
    + "loss = h.sum().sqrt()\nlogged(loss)\nloss.backward()",
    (SILENT, 2),
)

# ------------------------------------------------------------ DistributedDataParallel's buffers

second("buffers", NORM.format(copy="", options=""), (SILENT, 13))
both("buffers cloned", NORM.format(copy=".clone()", options=""))
both("buffers left alone", NORM.format(copy="", options=", broadcast_buffers=False"))
second(
    "running statistics",
    "torch.manual_seed(R)\nnet = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))\nmodel = DDP(net)\n"
    "model(torch.randn(8, 4) * 5)\nnet.eval()\ny = net(torch.randn(3, 4))\nz = model(torch.randn(3, 4))\n"
    "(y.pow(2).sum() + z.sum()).backward()",
    (SILENT, 7),
)
both(
    "one forward",
    "torch.manual_seed(R)\nmodel = DDP(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)))\n"
    "for _ in range(2):\n    model(torch.randn(8, 4)).sum().backward()",
)

# ------------------------------------------------------------ no gradient comes back

both(
    "cut by all_gather",
    HEADS.format(
        collected="parts = [torch.zeros_like(z) for _ in range(2)]\ndist.all_gather(parts, z)\nevery = torch.cat(parts)"
    ),
    (CUT, 7),
)
both(
    "cut by all_to_all",
    HEADS.format(collected="every = torch.zeros_like(z)\ndist.all_to_all_single(every, z.contiguous())"),
    (CUT, 7),
)
both(
    "own part put back",
    HEADS.format(
        collected="parts = [torch.zeros_like(z) for _ in range(2)]\ndist.all_gather(parts, z)\nparts[R] = z\n"
        "every = torch.cat(parts)"
    ),
)
both(
    "with a backward",
    HEADS.format(collected="import torch.distributed.nn as dnn\nevery = torch.cat(dnn.all_gather(z))"),
)
both(
    "gathered for a log",
    HEADS.format(collected="parts = [torch.zeros_like(z) for _ in range(2)]\ndist.all_gather(parts, z)\nevery = z"),
)

# ------------------------------------------------------------ parameters that DistributedDataParallel waits for

UNUSED = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
    def forward(self, x, both):
        return self.b(self.a(x)) if both else self.a(x)
model = DDP(Net(){options})
for both in ({turns}):
    loss = model(torch.randn(3, 4), both).sum()
    loss.backward()
""".strip()
both("unused", UNUSED.format(options="", turns="False, False"), (CUT, 9))
both("unused in the second turn", UNUSED.format(options="", turns="True, False, True"), (CUT, 9))
both("unused in the last turn", UNUSED.format(options="", turns="True, False"))
both("unused and looked for", UNUSED.format(options=", find_unused_parameters=True", turns="False, True"))
RAISING = {"unused": "finished reduction", "unused in the second turn": "finished reduction"}
"""What ends a program, where something does."""

# ------------------------------------------------------------ gradients in buckets

BUCKETS = """
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
model = DDP(net, gradient_as_bucket_view={views})
history = []
for turn in range(3):
    model.zero_grad()
    model(torch.randn(3, 4) + R).sum().backward()
    history.append(net[0].weight.grad{kept})
    logged = net[0].weight.grad.norm()
""".strip()
both("gradients kept", BUCKETS.format(views=True, kept=""), ("shared-reference", 7))
both("gradients copied", BUCKETS.format(views=True, kept=".clone()"))
both("gradients of their own", BUCKETS.format(views=False, kept=""))

# ------------------------------------------------------------ overlaps

OUT = "out = torch.zeros(8)\nout[R * 4:R * 4 + 4] = R + 1.0\n"
both("own part", OUT + "dist.all_gather_into_tensor(out, out[R * 4:R * 4 + 4])")
both("another part", OUT + "dist.all_gather_into_tensor(out, out[2:6])", ("overlapping-write", 3))

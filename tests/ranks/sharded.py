"""Programs with distributed tensors: `DTensor`, tensor parallelism, and models that FSDP has sharded."""

from __future__ import annotations

from tests.ranks.programs import SILENT, STALE, Program

SHARDED: dict[str, Program] = {}


def both(name: str, text: str, *found: tuple[str, int]) -> None:
    """A program of which both ranks say the same; the first two lines import."""
    SHARDED[name] = Program(_IMPORTS + text.strip(), found, found)


_IMPORTS = """
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
mesh = init_device_mesh("cpu", (2,))
""".lstrip()  # 3 lines

# ------------------------------------------------------------ DTensor

SIGMOID = """
t = distribute_tensor(torch.arange(8.0).reshape(2, 4), mesh, [Shard(0)]).requires_grad_()
h = torch.sigmoid(t)
f = h.redistribute(mesh, [Replicate()])
"""
RAISES = "try:\n    f.sum().backward()\nexcept RuntimeError:\n    pass"
both("a distributed save", SIGMOID + "h.mul_(2)\n" + RAISES, (STALE, 7))
both("a distributed save left alone", SIGMOID + "h = h * 2\n" + RAISES)
both("a distributed view", SIGMOID + "h.view(4, 2).add_(1)\n" + RAISES, (STALE, 7))
both("a distributed save behind backward", SIGMOID + "f.sum().backward()\nh.detach().mul_(2)")
both("data of a distributed save", SIGMOID + "h.data.mul_(2)\nf.sum().backward()", (SILENT, 7))
both(
    "a distributed leaf",
    """
w = nn.Parameter(distribute_tensor(torch.ones(4), mesh, [Replicate()]))
try:
    w.mul_(2)
except RuntimeError:
    pass
""",
    ("leaf-inplace", 6),
)
both(
    "a distributed leaf under no_grad",
    """
w = nn.Parameter(distribute_tensor(torch.ones(4), mesh, [Replicate()]))
with torch.no_grad():
    w.mul_(2)
(w * 2).sum().backward()
w.grad.zero_()
""",
)

# ------------------------------------------------------------ models

PARALLEL = """
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 4)
    def forward(self, x):
        h = torch.{act}(self.a(x))
        {then}
        return x + self.b(h)
torch.manual_seed(0)
net = parallelize_module(Block(), mesh, {{"a": ColwiseParallel(), "b": RowwiseParallel()}})
opt = torch.optim.AdamW(net.parameters(), foreach={foreach})
for _ in range(2):
    opt.zero_grad()
    loss = net(torch.randn(3, 4)).pow(2).sum()
    try:
        loss.backward()
    except RuntimeError:
        break
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
"""
both("parallel layers", PARALLEL.format(act="relu", then="h = h + 1", foreach=True))
both("parallel layers, one tensor at a time", PARALLEL.format(act="relu", then="h = h + 1", foreach=False))
both("a write between parallel layers", PARALLEL.format(act="sigmoid", then="h += 1", foreach=True), (STALE, 11))
SHARDS = """
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)
    def forward(self, x):
        h = torch.relu(self.a(x))
        {then}
        return self.norm(self.b(h))
torch.manual_seed(0)
net = nn.Sequential(Block(), Block(), nn.Linear(4, 1))
{shard}
opt = torch.optim.AdamW(net.parameters())
for step in range(3):
    loss = net(torch.randn(3, 4) + R).pow(2).sum()
    try:
        loss.backward()
    except RuntimeError:
        break
    if step != 1:
        {clip}
        opt.step()
        opt.zero_grad()
"""
TWO = "for block in net:\n    fully_shard(block, mesh=mesh)\nfully_shard(net, mesh=mesh)"
ONE = 'net = FullyShardedDataParallel(net, device_id=torch.device("cpu"), use_orig_params={original})'
CLIP = "nn.utils.clip_grad_norm_(net.parameters(), 1.0)"
both("sharded", SHARDS.format(shard=TWO, then="h = h + x", clip=CLIP))
both("sharded, a write between layers", SHARDS.format(shard=TWO, then="h += x", clip=CLIP), (STALE, 12))
ORIGINAL = ONE.format(original=True)
both("sharded by a wrapper", SHARDS.format(shard=ORIGINAL, then="h = h + x", clip="net.clip_grad_norm_(1.0)"))
both(
    "sharded by a wrapper, flat",
    SHARDS.format(shard=ONE.format(original=False), then="h = h + x", clip="net.clip_grad_norm_(1.0)"),
)
both(
    "sharded by a wrapper, a write between layers",
    SHARDS.format(shard=ORIGINAL, then="h += x", clip="net.clip_grad_norm_(1.0)"),
    (STALE, 12),
)
both(
    "sharded, parts called by themselves",
    """
from torch.distributed.fsdp import fully_shard
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
for layer in (net[0], net[2]):
    fully_shard(layer, mesh=mesh)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
h = net[0](torch.randn(3, 4)).detach()
net[2](h).sum().backward()
opt.step()
""",
)

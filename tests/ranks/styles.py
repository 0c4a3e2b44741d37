"""The same bugs as people write them, in functions and classes, and sound code that looks much like them."""

from __future__ import annotations

from tests.ranks.programs import CUT, SAVED, SILENT, STALE, Program

STYLES: dict[str, Program] = {}


def both(name: str, text: str, *found: tuple[str, int]) -> None:
    """A program of which both ranks say the same."""
    STYLES[name] = Program(text.strip(), found, found)


def second(name: str, text: str, *found: tuple[str, int]) -> None:
    """A program of which only rank 1 has anything to say."""
    STYLES[name] = Program(text.strip(), (), found)


# ------------------------------------------------------------ logging

METER = """
class Meter:
    def __init__(self):
        self.total, self.count = 0.0, 0
    def update(self, value):
        value = value.detach(){copy}
        dist.all_reduce(value)
        self.total += value.item() / 2
        self.count += 1
torch.manual_seed(R)
net, meter = nn.Linear(3, 1), Meter()
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(2):
    opt.zero_grad()
    loss = net(torch.randn(8, 3)).pow(2).mean().sqrt()
    meter.update(loss)
    loss.backward()
    opt.step()
"""
both("a meter", METER.format(copy=""), (SILENT, 6))
both("a meter with a copy", METER.format(copy=".clone()"))
both(
    "validation under no_grad",
    """
torch.manual_seed(R)
net = DDP(nn.Linear(3, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
@torch.no_grad()
def validate():
    error = net(torch.randn(4, 3)).pow(2).mean()
    dist.all_reduce(error)
    return error / 2
for _ in range(2):
    opt.zero_grad()
    loss = net(torch.randn(8, 3)).pow(2).mean()
    loss.backward()
    opt.step()
    logged = loss.detach()
    dist.all_reduce(logged)
    validate()
""",
)
HISTORY = """
metric, history = torch.zeros(1), []
for step in range(3):
    metric.fill_(R + step)
    dist.all_reduce(metric)
    history.append(metric{copy})
shown = torch.cat(history)
"""
both("one tensor for every metric", HISTORY.format(copy=""), ("shared-reference", 3))
both("a tensor for each metric", HISTORY.format(copy=".clone()"))

# ------------------------------------------------------------ buffers and averages

BUFFERS = """
torch.manual_seed(R)
net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
net(torch.randn(8, 4) * 5)
net.eval()
def share(model):
    for buffer in model.buffers():
        dist.broadcast(buffer, src=0)
{before}
loss = net(torch.randn(3, 4)).pow(2).sum()
{between}
loss.backward()
"""
second("buffers shared between", BUFFERS.format(before="", between="share(net)"), (SILENT, 7))
both("buffers shared before", BUFFERS.format(before="share(net)", between=""))
both(
    "an average of weights",
    """
torch.manual_seed(R)
net = nn.Linear(4, 2)
average = nn.Linear(4, 2)
average.load_state_dict(net.state_dict())
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(2):
    opt.zero_grad()
    net(torch.randn(3, 4)).pow(2).sum().backward()
    for one in net.parameters():
        dist.all_reduce(one.grad)
        one.grad.div_(2)
    opt.step()
    with torch.no_grad():
        for mean, one in zip(average.parameters(), net.parameters()):
            mean.lerp_(one, 0.1)
            dist.broadcast(mean, 0)
""",
)
AVERAGED = """
torch.manual_seed(R)
net = nn.Linear(4, 2)
loss = net(torch.randn(3, 4)).tanh().matmul(net.weight).sum()
with torch.no_grad():
    for one in net.parameters():
        {how}
loss.backward()
"""
both("weights averaged too early", AVERAGED.format(how="dist.all_reduce(one)"), (SILENT, 6))
both("weights averaged with a copy", AVERAGED.format(how="dist.all_reduce(one.clone())"))

# ------------------------------------------------------------ begun, and not waited for

BEGUN = """
x = torch.ones(4, requires_grad=True)
w = torch.full((4,), R + 1.0)
work = dist.irecv(w, 1 - R)
{before}
dist.barrier()
sent = dist.isend(torch.full((4,), 5.0), 1 - R)
work.wait()
sent.wait()
{after}
y.backward()
"""
both("used before it is waited for", BEGUN.format(before="y = (x * w).sum()", after=""), (SILENT, 3))
both("used when it is over", BEGUN.format(before="", after="y = (x * w).sum()"))
both("a copy used before it is waited for", BEGUN.format(before="y = (x * w.clone()).sum()", after=""))

RECEIVED = """
class Ring:
    def __init__(self, buffer):
        self.buffer = buffer
    def turn(self, own):
        got = {into}
        works = [dist.isend(own, 1 - R), dist.irecv(got, 1 - R)]
        for work in works:
            work.wait()
        return got
x = torch.full((4,), R + 1.0, requires_grad=True)
ring = Ring(torch.full((4,), R + 1.0))
y = (x * ring.buffer).sum()
other = ring.turn(x.detach())
(y + other.sum()).backward()
"""
both("received into what is saved", RECEIVED.format(into="self.buffer"), (SILENT, 6))
both("received into another", RECEIVED.format(into="torch.empty(4)"))
both(
    "exchanged in a function",
    """
def exchange(t):
    dist.all_to_all_single(t, t.clone())
    return t
"""
    + SAVED
    + "exchange(h.data)\nh.sum().backward()",
    (SILENT, 2),
)
SCATTERED = """
x = torch.ones(4, requires_grad=True)
part = torch.zeros(4)
y = x * part
dist.reduce_scatter({into}, [torch.ones(4), torch.ones(4)])
try:
    y.sum().backward()
except RuntimeError:
    pass
"""
both("reduce_scatter", SCATTERED.format(into="part"), (STALE, 4))
both("reduce_scatter into another", SCATTERED.format(into="torch.zeros(4)"))

# ------------------------------------------------------------ gradients

CONTRAST = """
class Contrast(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 2)
    def forward(self, x):
        z = self.head(x)
        every = [torch.zeros_like(z) for _ in range(2)]
        dist.all_gather(every, z)
        {put}
        every = torch.cat(every)
        return (every @ every.t()).logsumexp(1).mean()
torch.manual_seed(0)
body, model = nn.Linear(4, 4), Contrast()
opt = torch.optim.Adam([*body.parameters(), *model.parameters()])
for _ in range(2):
    opt.zero_grad()
    h = body(torch.randn(4, 4))
    loss = h.pow(2).mean() + model(h)
    loss.backward()
    opt.step()
"""
both("a loss of what was gathered", CONTRAST.format(put="pass"), (CUT, 8))
both("a loss with the own part", CONTRAST.format(put="every[R] = z"))
TWICE = """
from torch.utils.checkpoint import checkpoint
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)
    def forward(self, x):
        for _ in range(2):
            x = checkpoint(self.a, x, use_reentrant={how})
        return x
model = DDP(Net(), find_unused_parameters=True)
x = torch.randn(3, 4, requires_grad=True)
model(x).sum().backward()
"""
both("ready twice", TWICE.format(how=True), ("freed-graph", 8))
both("checkpointed twice", TWICE.format(how=False))
TRAIN = """
torch.manual_seed(R)
model = DDP(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(inplace=True), nn.Dropout(0.1), nn.Linear(4, 1)))
opt = torch.optim.AdamW(model.parameters(), foreach={foreach})
for step in range(4):
    x, t = torch.randn(8, 4), torch.randn(8, 1)
    if step % 2:
        nn.functional.mse_loss(model(x), t).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        opt.zero_grad()
    else:
        with model.no_sync():
            nn.functional.mse_loss(model(x), t).backward()
"""
both("training", TRAIN.format(foreach=False))
both("training with foreach", TRAIN.format(foreach=True))

RAISING = {"ready twice": "marked as ready twice"}
"""What ends a program, where something does."""

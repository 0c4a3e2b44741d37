"""Programs in which a tensor is kept by reference, and their sound twins.

The lines are marked: `# K` kept it, `# W` wrote it, `# R` reads it back. All run as they stand, and in a function.
"""

from __future__ import annotations

# Nobody can have meant these.
WARNED = {
    "per sample grads flattened view": """
def per_sample(net, xs):
    grads = []
    for x in xs:
        net.zero_grad(set_to_none=False)  # W
        net(x).sum().backward()  # W
        grads.append(net.weight.grad.view(-1))  # K
    return torch.stack(grads)  # R
print(per_sample(nn.Linear(2, 1), torch.randn(3, 2)).var(0))
""",
    "tensor logging of loss buffer": """
class Logger:
    def __init__(self):
        self.rows = []
    def log(self, **values):
        self.rows.append(values)  # K
    def table(self):
        return torch.stack([r["loss"] for r in self.rows])  # R
log = Logger()
running = torch.zeros(())
for t in range(3):
    running.mul_(0.9).add_(t)  # W
    log.log(loss=running)
print(log.table())
""",
    "beam search hidden shared": """
def beam(steps, k=3):
    h = torch.zeros(4)
    beams = [(0.0, h)] * k  # K
    for t in range(steps):
        new = []
        for score, s in beams:
            s.add_(torch.randn(4))  # W
            new.append((score + s.sum().item(), s))
        beams = new
    return torch.stack([s for _, s in beams])  # R
print(beam(2))
""",
    "particles shared init": """
init = torch.zeros(2)
particles = [init for _ in range(4)]  # K
for i, p in enumerate(particles):
    p += torch.randn(2)  # W
spread = torch.stack(particles).std(0)  # R
print(spread)
""",
    "itertools repeat": """
import itertools
slots = list(itertools.repeat(torch.zeros(2), 3))  # K
for i, s in enumerate(slots):
    s.add_(i)  # W
print(torch.stack(slots))  # R
""",
    "defaultdict of one tensor": """
from collections import defaultdict
zero = torch.zeros(2)
sums = defaultdict(lambda: zero)  # K
for label, x in (("a", torch.ones(2)), ("b", torch.ones(2) * 3)):
    sums[label] += x  # W
print((sums["a"] - sums["b"]).norm())  # R
""",
    "get with default buffer": """
sums, zero = {}, torch.zeros(2)
for label, x in (("a", torch.ones(2)), ("b", torch.ones(2) * 3)):
    s = sums.get(label, zero)
    s += x  # W
    sums[label] = s  # K
print(torch.stack(list(sums.values())))  # R
""",
    "snapshot in dataclass of metrics": """
from dataclasses import dataclass
@dataclass
class Snapshot:
    step: int
    weight: torch.Tensor
def train(net, opt, steps):
    out = []
    for i in range(steps):
        opt.zero_grad()
        net(torch.ones(3, 2)).pow(2).mean().backward()
        opt.step()  # W
        out.append(Snapshot(i, net.weight.data))  # K
    return out
net = nn.Linear(2, 1)
snaps = train(net, torch.optim.SGD(net.parameters(), lr=0.1), 3)
print((snaps[0].weight - snaps[-1].weight).norm())  # R
""",
    "mc dropout outputs with out buffer": """
out = torch.empty(4, 2)
net = nn.Linear(2, 2)
samples = []
with torch.no_grad():
    for _ in range(3):
        torch.addmm(net.bias, torch.randn(4, 2), net.weight.t(), out=out)  # W
        samples.append(out)  # K
mean = sum(samples) / len(samples)  # R
var = sum((s - mean).pow(2) for s in samples)  # R
print(var.sum())
""",
    "numpy dict snapshot compare": """
import numpy as np
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
before = {n: p.detach().numpy() for n, p in net.named_parameters()}  # K
for _ in range(2):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()  # W
for n, p in net.named_parameters():
    print(n, np.abs(p.detach().numpy() - before[n]).max())  # R
""",
    "numpy attribute snapshot": """
import numpy as np
class Probe:
    def __init__(self, net):
        self.net = net
        self.start = net.weight.detach().numpy()  # K
    def moved(self):
        return np.abs(self.net.weight.detach().numpy() - self.start).sum()  # R
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
probe = Probe(net)
for _ in range(2):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()  # W
    print(probe.moved())
""",
    "numpy array collected into attribute list": """
class Rec:
    def __init__(self):
        self.weights = []
    def on_step(self, net):
        self.weights.append(net.weight.data.cpu().numpy())  # K
    def report(self):
        import numpy as np
        return np.stack(self.weights).std(0)  # R
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
rec = Rec()
for _ in range(3):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()  # W
    rec.on_step(net)
print(rec.report())
""",
}

# Copies, fresh tensors, and what is read before it is written again.
SOUND = {
    "env dict replay cloned": """
class Env:
    def __init__(self):
        self.obs = {"pos": torch.zeros(2)}
    def step(self, a):
        self.obs["pos"] += a
        return self.obs["pos"], 1.0
class Replay:
    def __init__(self):
        self.data = {"obs": [], "rew": []}
    def add(self, obs, rew):
        self.data["obs"].append(obs.clone())
        self.data["rew"].append(rew)
    def tensor(self):
        return torch.stack(self.data["obs"])
env, rb = Env(), Replay()
for t in range(3):
    o, r = env.step(torch.ones(2))
    rb.add(o, r)
print(rb.tensor())
""",
    "cycle buffers of a pool": """
bufs = [torch.zeros(3) for _ in range(4)]
rows = []
for t in range(4):
    bufs[t].fill_(t)
    rows.append(bufs[t])
print(torch.stack(rows))
for r in rows:
    print(r.sum())
""",
    "double buffering consumed": """
front, back = torch.zeros(3), torch.zeros(3)
out = []
for t in range(4):
    back.copy_(front + 1)
    out.append(back.sum().item())
    front, back = back, front
print(out, (front - back).sum())
""",
    "polyak target params list": """
online, target = nn.Linear(2, 2), nn.Linear(2, 2)
pairs = list(zip(target.parameters(), online.parameters()))
opt = torch.optim.SGD(online.parameters(), lr=0.1)
for _ in range(3):
    opt.zero_grad()
    online(torch.ones(3, 2)).sum().backward()
    opt.step()
    with torch.no_grad():
        for t, o in pairs:
            t.mul_(0.9).add_(o, alpha=0.1)
    print(sum((t - o).norm().item() for t, o in pairs))
""",
    "gradient clipping by stored parameters": """
class Clip:
    def __init__(self, net):
        self.params = [p for p in net.parameters() if p.requires_grad]
    def __call__(self, c):
        total = torch.stack([p.grad.norm() for p in self.params]).norm()
        for p in self.params:
            p.grad.mul_(min(1.0, c / (total.item() + 1e-6)))
        return total
net = nn.Linear(2, 1)
opt, clip = torch.optim.SGD(net.parameters(), lr=0.1), Clip(net)
for _ in range(3):
    opt.zero_grad(set_to_none=False)
    net(torch.ones(3, 2)).pow(2).mean().backward()
    print(clip(0.5))
    opt.step()
""",
    "norm of grads each step collected as numbers": """
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
norms = []
for _ in range(3):
    opt.zero_grad(set_to_none=False)
    net(torch.ones(3, 2)).pow(2).mean().backward()
    norms.append(net.weight.grad.norm())
    opt.step()
print(torch.stack(norms))
""",
    "weight and its own norm compared": """
net = nn.Linear(2, 2)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(2):
    w = net.weight
    sym = (w - w.T).pow(2).sum()
    opt.zero_grad()
    sym.backward()
    opt.step()
    print((w - w.mean()).norm())
""",
    "siamese same input": """
enc = nn.Linear(2, 2)
opt = torch.optim.SGD(enc.parameters(), lr=0.1)
x = torch.randn(4, 2)
for _ in range(2):
    a, b = enc(x), enc(x)
    loss = (a - b).pow(2).mean() + a.sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
    "batchnorm buffers read from kept ref": """
bn = nn.BatchNorm1d(2)
mean = bn.running_mean
for _ in range(3):
    bn(torch.randn(8, 2))
    print(mean.norm())
""",
    "attention key cache list": """
cache = []
for t in range(4):
    k = torch.randn(2, 3)
    cache.append(k)
    keys = torch.stack(cache)
    keys.mul_(0.5)
print(keys.sum())
""",
    "in-place on loop var of list then stack": """
xs = [torch.ones(3) * i for i in range(3)]
for x in xs:
    x.sub_(1)
    x.div_(2)
print(torch.stack(xs).sum())
""",
    "same object on purpose: shared layer norm list": """
ln = nn.LayerNorm(2)
blocks = nn.ModuleList([nn.Sequential(nn.Linear(2, 2), ln) for _ in range(2)])
opt = torch.optim.SGD(blocks.parameters(), lr=0.1)
for _ in range(2):
    h = torch.ones(3, 2)
    for b in blocks:
        h = b(h)
    opt.zero_grad()
    h.sum().backward()
    opt.step()
""",
    "accumulate gradients by hand": """
net = nn.Linear(2, 1)
acc = [torch.zeros_like(p) for p in net.parameters()]
for x in torch.randn(3, 4, 2):
    net.zero_grad(set_to_none=False)
    net(x).pow(2).mean().backward()
    for a, p in zip(acc, net.parameters()):
        a.add_(p.grad)
with torch.no_grad():
    for a, p in zip(acc, net.parameters()):
        p.sub_(0.1 * a)
print(net.weight)
""",
    "per sample grads cloned in function": """
def per_sample(net, xs):
    grads = []
    for x in xs:
        net.zero_grad(set_to_none=False)
        net(x).sum().backward()
        grads.append(torch.cat([p.grad.flatten() for p in net.parameters()]))
    return torch.stack(grads)
print(per_sample(nn.Linear(2, 1), torch.randn(3, 2)).var(0))
""",
    "tensor logging of loss buffer item": """
class Logger:
    def __init__(self):
        self.rows = []
    def log(self, **values):
        self.rows.append(values)
    def table(self):
        return torch.tensor([r["loss"] for r in self.rows])
log = Logger()
running = torch.zeros(())
for t in range(3):
    running.mul_(0.9).add_(t)
    log.log(loss=running.item())
print(log.table())
""",
    "particles cloned init": """
init = torch.zeros(2)
particles = [init.clone() for _ in range(4)]
for i, p in enumerate(particles):
    p += torch.randn(2)
print(torch.stack(particles).std(0))
""",
    "numpy copies collected": """
import numpy as np
w = torch.zeros(2, requires_grad=True)
opt = torch.optim.SGD([w], lr=0.1)
hist = []
for step in range(3):
    opt.zero_grad()
    (w - 1).pow(2).sum().backward()
    opt.step()
    hist.append(w.detach().numpy().copy())
print(np.stack(hist))
""",
    "numpy used at once in the loop": """
import numpy as np
w = torch.zeros(2, requires_grad=True)
opt = torch.optim.SGD([w], lr=0.1)
hist = []
for step in range(3):
    opt.zero_grad()
    (w - 1).pow(2).sum().backward()
    opt.step()
    hist.append(float(np.abs(w.detach().numpy()).max()))
print(hist)
""",
}

"""Programs in which a tensor is kept by reference, and their sound twins.

The lines are marked: `# K` kept it, `# W` wrote it, `# R` reads it back. All run as they stand, and in a function.
"""

from __future__ import annotations

# Nobody can have meant these.
WARNED = {
    "init default shared state": """
class Cell:
    def __init__(self, size, h=torch.zeros(3)):  # K
        self.size, self.h = size, h
    def step(self, x):
        self.h.mul_(0.5).add_(x)  # WR
        return self.h.sum()
cells = [Cell(3) for _ in range(2)]
for c in cells:
    c.step(torch.ones(3))
print(cells[0].h, cells[1].h)  # R
""",
    "running sum printed": """
total = torch.zeros(())
curve = []
for x in torch.arange(4.0):
    total += x  # W
    curve.append(total)  # K
print(curve)  # R
""",
    "running sum returned": """
def cumulative(xs):
    total, out = torch.zeros(3), []
    for x in xs:
        total += x  # W
        out.append(total)  # K
    return out  # R
rows = cumulative(torch.ones(4, 3))
print(rows)
""",
    "snapshots dict of state dicts": """
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
snaps = {}
for epoch in range(3):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()  # W
    snaps[epoch] = net.state_dict()  # K
for a in range(2):
    d = sum((snaps[a][k] - snaps[a + 1][k]).norm() for k in snaps[a])  # R
    print(d)
""",
    "averaged checkpoints of live weights": """
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
ckpts = []
for epoch in range(3):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()  # W
    ckpts.append(net.state_dict())  # K
avg = {k: torch.stack([c[k] for c in ckpts]).mean(0) for k in ckpts[0]}  # R
print(avg["weight"])
""",
    "models list of one model": """
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
models = []
for epoch in range(3):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()  # W
    models.append(net)  # K
with torch.no_grad():
    votes = torch.stack([m.weight for m in models]).std(0)  # R
print(votes)
""",
    "fisher old params": """
class EWC:
    def __init__(self, net):
        self.net = net
        self.means = {}
        for n, p in net.named_parameters():
            self.means[n] = p  # K
    def penalty(self):
        loss = 0
        for n, p in self.net.named_parameters():
            loss = loss + (p - self.means[n]).pow(2).sum()  # R
        return loss
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
ewc = EWC(net)
for _ in range(2):
    opt.zero_grad()
    (net(torch.ones(3, 2)).pow(2).mean() + ewc.penalty()).backward()
    opt.step()  # W
""",
    "fisher old params data": """
class EWC:
    def __init__(self, net):
        self.net = net
        self.means = {n: p.data for n, p in net.named_parameters()}  # K
    def penalty(self):
        loss = 0
        for n, p in self.net.named_parameters():
            loss = loss + (p - self.means[n]).pow(2).sum()  # R
        return loss
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
ewc = EWC(net)
for _ in range(2):
    opt.zero_grad()
    (net(torch.ones(3, 2)).pow(2).mean() + ewc.penalty()).backward()
    opt.step()  # W
""",
    "fedprox global params": """
def local_train(net, x, mu=0.1):
    global_params = [p for p in net.parameters()]  # K
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):
        opt.zero_grad()
        prox = sum((p - g).pow(2).sum() for p, g in zip(net.parameters(), global_params))  # R
        (net(x).pow(2).mean() + mu * prox).backward()
        opt.step()  # W
    return net
local_train(nn.Linear(2, 1), torch.ones(3, 2))
""",
    "fedavg of clients that share state": """
def client_update(net, x):
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    opt.zero_grad()
    net(x).pow(2).mean().backward()
    opt.step()  # W
    return net.state_dict()
net = nn.Linear(2, 1)
updates = [client_update(net, torch.randn(3, 2)) for _ in range(3)]  # K
mean = {k: torch.stack([u[k] for u in updates]).mean(0) for k in updates[0]}  # R
net.load_state_dict(mean)
""",
    "lbfgs-like previous gradient": """
w = torch.zeros(3, requires_grad=True)
prev_g = None
for it in range(3):
    if w.grad is not None:
        w.grad.zero_()  # W
    (w - 1).pow(2).sum().backward()  # W
    g = w.grad
    if prev_g is not None:
        y = g - prev_g  # R
        print(y.norm())
    prev_g = g  # K
    with torch.no_grad():
        w -= 0.1 * g
""",
    "accumulators dict of classes from one": """
def make_stats(names):
    zero = torch.zeros(2)
    return {n: zero for n in names}  # K
stats = make_stats(["a", "b", "c"])
for n, v in (("a", 1.0), ("b", 2.0)):
    stats[n] += v  # W
print(torch.stack(list(stats.values())))  # R
""",
    "namedtuple replay with zip star": """
from collections import namedtuple
Step = namedtuple("Step", "state reward")
steps = []
state = torch.zeros(3)
for t in range(4):
    state.add_(torch.randn(3))  # W
    steps.append(Step(state, float(t)))  # K
states, rewards = zip(*steps)
print(torch.stack(states).mean(0))  # R
""",
    "env returns obs buffer dict replay": """
class Env:
    def __init__(self):
        self.obs = {"pos": torch.zeros(2)}
    def step(self, a):
        self.obs["pos"] += a  # W
        return self.obs["pos"], 1.0
class Replay:
    def __init__(self):
        self.data = {"obs": [], "rew": []}
    def add(self, obs, rew):
        self.data["obs"].append(obs)  # K
        self.data["rew"].append(rew)
    def tensor(self):
        return torch.stack(self.data["obs"])  # R
env, rb = Env(), Replay()
for t in range(3):
    o, r = env.step(torch.ones(2))
    rb.add(o, r)
print(rb.tensor())
""",
    "static output buffer collected": """
class Runner:
    def __init__(self):
        self.out = torch.zeros(4)
    def __call__(self, x):
        self.out.copy_(x * 2)  # W
        return self.out
run = Runner()
preds = []
for x in torch.randn(3, 4):
    preds.append(run(x))  # K
print(torch.cat(preds).mean())  # R
""",
    "out= scratch collected": """
scratch = torch.empty(3)
feats = []
for k in range(3):
    feats.append(torch.mul(torch.ones(3), float(k), out=scratch))  # KW
print(torch.stack(feats))  # R
""",
}

# Copies, fresh tensors, and what is read before it is written again.
SOUND = {
    "data flattened into one buffer": """
net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
flat = torch.cat([p.detach().reshape(-1) for p in net.parameters()])
at = 0
for p in net.parameters():
    p.data = flat[at:at + p.numel()].view_as(p)
    at += p.numel()
for _ in range(2):
    net(torch.ones(4, 2)).sum().backward()
    with torch.no_grad():
        flat.sub_(0.01)
    net.zero_grad()
print(flat.norm(), net(torch.ones(4, 2)).sum())
""",
    "weights tied by data and trained together": """
a, b = nn.Linear(2, 2), nn.Linear(2, 2)
b.weight.data = a.weight.data
opt = torch.optim.SGD([*a.parameters(), *b.parameters()], lr=0.1)
for _ in range(2):
    opt.zero_grad()
    b(a(torch.ones(3, 2))).sum().backward()
    opt.step()
print(b.weight.sum())
""",
    "class counter by the class name": """
class Meter:
    seen = torch.zeros(())
    def __init__(self, name):
        self.name = name
    def update(self, x):
        Meter.seen += x.numel()
a, b = Meter("a"), Meter("b")
a.update(torch.ones(3))
b.update(torch.ones(2))
print(Meter.seen)
""",
    "class default replaced in init": """
class Meter:
    total = torch.zeros(3)
    def __init__(self):
        self.total = torch.zeros(3)
    def update(self, x):
        self.total += x
a, b = Meter(), Meter()
a.update(torch.ones(3))
b.update(torch.ones(3) * 2)
print(a.total, b.total)
""",
    "dataclass default factory": """
from dataclasses import dataclass, field
@dataclass
class Stats:
    name: str
    mean: torch.Tensor = field(default_factory=lambda: torch.zeros(3))
    def add(self, x):
        self.mean.mul_(0.9).add_(x, alpha=0.1)
train, val = Stats("train"), Stats("val")
for i in range(3):
    train.add(torch.ones(3))
val.add(torch.zeros(3))
print(train.mean - val.mean)
""",
    "init default none": """
class Cell:
    def __init__(self, size, h=None):
        self.size, self.h = size, torch.zeros(3) if h is None else h
    def step(self, x):
        self.h.mul_(0.5).add_(x)
        return self.h.sum()
cells = [Cell(3) for _ in range(2)]
for c in cells:
    c.step(torch.ones(3))
print(cells[0].h, cells[1].h)
""",
    "running sum clone returned": """
def cumulative(xs):
    total, out = torch.zeros(3), []
    for x in xs:
        total += x
        out.append(total.clone())
    return out
rows = cumulative(torch.ones(4, 3))
print(rows)
""",
    "running sum rebinding returned": """
def cumulative(xs):
    total, out = torch.zeros(3), []
    for x in xs:
        total = total + x
        out.append(total)
    return out
rows = cumulative(torch.ones(4, 3))
print(rows)
""",
    "averaged checkpoints deep copies": """
import copy
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
ckpts = []
for epoch in range(3):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()
    ckpts.append(copy.deepcopy(net.state_dict()))
avg = {k: torch.stack([c[k] for c in ckpts]).mean(0) for k in ckpts[0]}
print(avg["weight"])
""",
    "fisher old params clone": """
class EWC:
    def __init__(self, net):
        self.net = net
        self.means = {n: p.detach().clone() for n, p in net.named_parameters()}
    def penalty(self):
        loss = 0
        for n, p in self.net.named_parameters():
            loss = loss + (p - self.means[n]).pow(2).sum()
        return loss
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
ewc = EWC(net)
for _ in range(2):
    opt.zero_grad()
    (net(torch.ones(3, 2)).pow(2).mean() + ewc.penalty()).backward()
    opt.step()
""",
    "previous gradient cloned": """
w = torch.zeros(3, requires_grad=True)
prev_g = None
for it in range(3):
    if w.grad is not None:
        w.grad.zero_()
    (w - 1).pow(2).sum().backward()
    g = w.grad
    if prev_g is not None:
        y = g - prev_g
        print(y.norm())
    prev_g = g.clone()
    with torch.no_grad():
        w -= 0.1 * g
""",
    "gradients set to none": """
w = torch.zeros(3, requires_grad=True)
prev_g = None
for it in range(3):
    w.grad = None
    (w - 1).pow(2).sum().backward()
    g = w.grad
    if prev_g is not None:
        y = g - prev_g
        print(y.norm())
    prev_g = g
    with torch.no_grad():
        w -= 0.1 * g
""",
    "accumulators dict fresh": """
def make_stats(names):
    return {n: torch.zeros(2) for n in names}
stats = make_stats(["a", "b", "c"])
for n, v in (("a", 1.0), ("b", 2.0)):
    stats[n] += v
print(torch.stack(list(stats.values())))
""",
    "namedtuple batch of fresh": """
from collections import namedtuple
Step = namedtuple("Step", "state reward")
steps = []
state = torch.zeros(3)
for t in range(4):
    state = state + torch.randn(3)
    steps.append(Step(state, float(t)))
print(torch.stack([s.state for s in steps]).mean(0))
""",
    "hooks collecting activations": """
acts = []
net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
for m in net:
    m.register_forward_hook(lambda mod, i, o: acts.append(o.detach()))
for _ in range(2):
    acts.clear()
    net(torch.randn(4, 2))
    print([a.norm().item() for a in acts])
""",
    "static input buffer consumed": """
static = torch.zeros(4, 2)
net = nn.Linear(2, 1)
outs = []
for batch in torch.randn(3, 4, 2):
    static.copy_(batch)
    outs.append(net(static).detach())
print(torch.stack(outs).mean())
""",
    "static output cloned": """
class Runner:
    def __init__(self):
        self.out = torch.zeros(4)
    def __call__(self, x):
        self.out.copy_(x * 2)
        return self.out.clone()
run = Runner()
preds = []
for x in torch.randn(3, 4):
    preds.append(run(x))
print(torch.cat(preds).mean())
""",
}

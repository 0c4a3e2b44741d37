"""Programs in which a tensor is kept by reference, and their sound twins.

The lines are marked: `# K` kept it, `# W` wrote it, `# R` reads it back. All run as they stand, and in a function.
"""

from __future__ import annotations

# Nobody can have meant these.
WARNED = {
    "history append w itself": """
w = torch.zeros(2, requires_grad=True)
opt = torch.optim.SGD([w], lr=0.1)
history = []
for step in range(3):
    opt.zero_grad()
    (w - 1).pow(2).sum().backward()
    opt.step()  # W
    history.append(w)  # K
path = torch.stack(history)  # R
print(path)
""",
    "history append w itself diff": """
w = torch.zeros(2, requires_grad=True)
opt = torch.optim.SGD([w], lr=0.1)
history = []
for step in range(3):
    opt.zero_grad()
    (w - 1).pow(2).sum().backward()
    opt.step()  # W
    history.append(w)  # K
for a, b in zip(history, history[1:]):
    print((a - b).norm())  # R
""",
    "snaps dict model.weight": """
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
snaps = {}
for step in range(4):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()  # W
    snaps[step] = net.weight  # K
print((snaps[3] - snaps[0]).norm())  # R
""",
    "grads append p.grad function": """
def train(net, opt, data):
    grads = []
    for x in data:
        opt.zero_grad(set_to_none=False)  # W
        net(x).pow(2).mean().backward()  # W
        grads.append(net.weight.grad)  # K
        opt.step()
    return grads
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
gs = train(net, opt, torch.randn(4, 3, 2))
var = torch.stack(gs).var(0)  # R
print(var)
""",
    "data list comprehension": """
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
before = [p.data for p in net.parameters()]  # K
for _ in range(3):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()  # W
moved = sum((a - b).norm().item() for a, b in zip(net.parameters(), before))  # R
print(moved)
""",
    "state dict comprehension restored": """
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
best = {k: v for k, v in net.state_dict().items()}  # K
for _ in range(3):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()  # W
net.load_state_dict(best)  # R
""",
    "state dict comprehension in method, best": """
class Trainer:
    def __init__(self):
        self.net = nn.Linear(2, 1)
        self.opt = torch.optim.SGD(self.net.parameters(), lr=0.1)
        self.best, self.best_loss = None, 1e9
    def epoch(self, x):
        self.opt.zero_grad()
        loss = self.net(x).pow(2).mean()
        loss.backward()
        self.opt.step()  # W
        self.n = getattr(self, 'n', 0) + 1
        if self.n == 2:
            self.best_loss = loss.item()
            self.best = {k: v for k, v in self.net.state_dict().items()}  # K
    def finish(self):
        self.net.load_state_dict(self.best)  # R
t = Trainer()
for _ in range(4):
    t.epoch(torch.ones(3, 2))
t.finish()
""",
    "numpy history append": """
import numpy as np
w = torch.zeros(2, requires_grad=True)
opt = torch.optim.SGD([w], lr=0.1)
hist = []
for step in range(3):
    opt.zero_grad()
    (w - 1).pow(2).sum().backward()
    opt.step()  # W
    hist.append(w.detach().numpy())  # K
print(np.stack(hist))  # R
""",
    "numpy history append then stack torch": """
import numpy as np
w = torch.zeros(2, requires_grad=True)
opt = torch.optim.SGD([w], lr=0.1)
hist = []
for step in range(3):
    opt.zero_grad()
    (w - 1).pow(2).sum().backward()
    opt.step()  # W
    hist.append(w.detach().numpy())  # K
path = torch.from_numpy(np.stack(hist))  # R
print(path.std(0))
""",
    "named_parameters dict compare": """
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
old = dict(net.named_parameters())  # K
for _ in range(2):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()  # W
for k, p in net.named_parameters():
    print(k, (old[k] - p).norm())  # R
""",
    "self.prev list of parameters": """
class Watch:
    def __init__(self, net):
        self.net = net
        self.prev = list(self.net.parameters())  # K
    def drift(self):
        return sum((p - q).norm().item() for p, q in zip(self.prev, self.net.parameters()))  # R
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
w = Watch(net)
for _ in range(2):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()  # W
    print(w.drift())
""",
    "class body tensor shared": """
class Meter:
    total = torch.zeros(3)  # K
    def update(self, x):
        self.total += x  # WR
        return self
    def value(self):
        return self.total.sum()
a, b = Meter(), Meter()
a.update(torch.ones(3))
b.update(torch.ones(3) * 2)
print(a.value(), b.value())  # R
""",
    "dataclass default tensor shared": """
from dataclasses import dataclass
@dataclass
class Stats:
    name: str
    mean: torch.Tensor = torch.zeros(3)  # K
    def add(self, x):
        self.mean.mul_(0.9).add_(x, alpha=0.1)  # WR
train, val = Stats("train"), Stats("val")
for i in range(3):
    train.add(torch.ones(3))
val.add(torch.zeros(3))
print(train.mean - val.mean)  # R
""",
    "mutable default argument tensor": """
def accumulate(x, acc=torch.zeros(3)):  # K
    acc.add_(x)  # WR
    return acc
a = accumulate(torch.ones(3))
b = accumulate(torch.ones(3))
print(a, b)
""",
    "rows append buf rewritten": """
buf = torch.zeros(2, 3)
rows = []
for t in range(6):
    buf[t % 2] = torch.randn(3)  # W
    rows.append(buf[t % 2])  # K
print(torch.stack(rows).mean(0))  # R
""",
    "rows append buf rewritten function": """
def rollout(env, T, size=4):
    obs = torch.zeros(size, 3)
    seen = []
    for t in range(T):
        obs[t % size].copy_(env(t))  # W
        seen.append(obs[t % size])  # K
    return seen
steps = rollout(lambda t: torch.full((3,), float(t)), 8)
returns = [s.sum().item() for s in steps]  # R
print(returns)
""",
    "exp_avg kept": """
net = nn.Linear(2, 1)
opt = torch.optim.Adam(net.parameters(), lr=0.1)
def step():
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()  # W
step()
m0 = opt.state[net.weight]["exp_avg"]  # K
step()
m1 = opt.state[net.weight]["exp_avg"]
print((m1 - m0).norm())  # R
""",
    "momentum buffers collected": """
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
trail = []
for _ in range(4):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()  # W
    trail.append(opt.state[net.weight]["momentum_buffer"])  # K
print(torch.stack(trail).norm(dim=-1))  # R
""",
    "closure compare": """
def make_logger(net):
    start = [p.detach() for p in net.parameters()]  # K
    def moved():
        return sum((p - s).abs().sum() for p, s in zip(net.parameters(), start))  # R
    return moved
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
moved = make_logger(net)
for _ in range(2):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()  # W
    print(moved())
""",
    "replay buffer push state": """
from collections import deque
class Replay:
    def __init__(self):
        self.mem = deque(maxlen=10)
    def push(self, s, r):
        self.mem.append((s, r))  # K
    def batch(self):
        return torch.stack([s for s, _ in self.mem])  # R
class Env:
    def __init__(self):
        self.pos = torch.zeros(2)
    def step(self, a):
        self.pos += a  # W
        return self.pos
env, mem = Env(), Replay()
for t in range(5):
    s = env.step(torch.ones(2))
    mem.push(s, 1.0)
print(mem.batch().mean(0))
""",
    "namedtuple transitions": """
from collections import namedtuple
Step = namedtuple("Step", "state reward")
state = torch.zeros(3)
steps = []
for t in range(4):
    state.add_(torch.randn(3))  # W
    steps.append(Step(state, float(t)))  # K
batch = torch.stack([one.state for one in steps])  # R
print(batch.mean(0))
""",
    "dataclass transitions": """
from dataclasses import dataclass
@dataclass
class Step:
    state: torch.Tensor
    reward: float
state = torch.zeros(3)
steps = []
for t in range(4):
    state.add_(torch.randn(3))  # W
    steps.append(Step(state=state, reward=float(t)))  # K
batch = torch.stack([one.state for one in steps])  # R
print(batch.mean(0))
""",
    "generator yields the same buffer": """
def batches(n):
    buf = torch.zeros(4)
    for i in range(n):
        buf.fill_(i)  # W
        yield buf  # K
got = list(batches(3))  # K
print(torch.stack(got).sum(0))  # R
""",
    "transitions put by all arguments": """
from collections import deque
class Memory:
    def __init__(self):
        self.buffer = deque(maxlen=10)
    def push(self, *transition):
        self.buffer.append(transition)  # K
    def states(self):
        return torch.stack([state for state, _ in self.buffer])  # R
memory, state = Memory(), torch.zeros(3)
for t in range(4):
    state.add_(torch.ones(3))  # W
    memory.push(state, 1.0)
print(memory.states().mean(0))
""",
    "transitions put as a tuple with a name": """
state, steps = torch.zeros(3), []
for t in range(4):
    state.add_(torch.ones(3))  # W
    step = (state, float(t))
    steps.append(step)  # K
print(torch.stack([one for one, _ in steps]).mean(0))  # R
""",
    "the result of an in-place call collected by its own name": """
x = torch.zeros(3)
seen = []
for t in range(4):
    x = x.add_(torch.ones(3))  # W
    seen.append(x)  # K
print(seen)  # R
""",
    "a buffer collected behind each item it gets": """
buf = torch.zeros(3)
seen = []
for t in range(3):
    buf[t] = torch.ones(2).sum()  # W
    seen.append(buf)  # K
print(len(seen))
print(torch.stack(seen).sum(0))  # R
""",
}

# Copies, fresh tensors, and what is read before it is written again.
SOUND = {
    "rows append buf t sound": """
buf = torch.zeros(5, 3)
rows = []
for t in range(5):
    buf[t] = torch.randn(3)
    rows.append(buf[t])
print(torch.stack(rows).mean(0))
""",
    "generator consumed at once": """
def batches(n):
    buf = torch.zeros(4)
    for i in range(n):
        buf.fill_(i)
        yield buf
total = 0.0
for b in batches(3):
    total += b.sum().item()
print(total)
""",
    "history with clone": """
w = torch.zeros(2, requires_grad=True)
opt = torch.optim.SGD([w], lr=0.1)
history = []
for step in range(3):
    opt.zero_grad()
    (w - 1).pow(2).sum().backward()
    opt.step()
    history.append(w.detach().clone())
path = torch.stack(history)
print(path)
""",
    "collected params for optimizer": """
nets = [nn.Linear(2, 2) for _ in range(3)]
params = []
for net in nets:
    params.append(net.weight)
    params.append(net.bias)
opt = torch.optim.SGD(params, lr=0.1)
for _ in range(2):
    opt.zero_grad()
    sum(net(torch.ones(1, 2)).sum() for net in nets).backward()
    opt.step()
norm = torch.stack([p.norm() for p in params]).norm()
print(norm)
""",
    "a fresh sample that noise is added to before it is collected": """
net = nn.Linear(2, 2)
def sample(steps):
    x, path = torch.randn(3, 2), []
    for t in reversed(range(steps)):
        x = x - 0.1 * net(x).detach()
        if t > 0:
            x.add_(0.05 * torch.randn_like(x))
        path.append(x)
    return torch.stack(path)
print(sample(5).mean())
""",
    "a result that gets a name of its own before it is changed and collected": """
x, path = torch.ones(3), []
for t in range(4):
    y = torch.tanh(x)
    y.mul_(0.5)
    x = y
    path.append(x)
print(path)
""",
    "a state of an object that is made anew, changed and collected": """
class Walker:
    def __init__(self):
        self.at, self.path = torch.zeros(2), []
    def go(self, by):
        self.at = self.at + by
        self.at.clamp_(-1, 1)
        self.path.append(self.at)
walker = Walker()
for t in range(4):
    walker.go(torch.ones(2) * 0.4)
print(walker.path)
""",
    "a sum that is made of two operators and scaled in the same loop": """
x, seen = torch.ones(3), []
for t in range(4):
    x = 0.5 * x + torch.ones(3) * 2
    x *= 0.9
    seen.append(x)
print(seen)
""",
    "hidden rebinding history": """
h = torch.zeros(3)
hist = []
for t in range(4):
    h = torch.tanh(h + 1)
    hist.append(h)
h.mul_(0.5)
print(torch.stack(hist[:-1]).sum())
""",
    "list of living parameters read each epoch": """
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
tracked = {"weight": net.weight, "bias": net.bias}
for _ in range(3):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()
    print({k: v.norm().item() for k, v in tracked.items()})
""",
}

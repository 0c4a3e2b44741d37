"""Programs in which a tensor is kept by reference, and their sound twins.

The lines are marked: `# K` kept it, `# W` wrote it, `# R` reads it back. All run as they stand, and in a function.
"""

from __future__ import annotations

# Nobody can have meant these.
WARNED = {
    "image normalised and kept": """
def normalize_img(img, mean=0.5, std=0.25):
    for channel in img:
        channel.sub_(mean).div_(std)  # W
    return img
def get_item(images, i):
    item = {}
    img = images[i].clone()
    item["img"] = normalize_img(img)  # K
    item["img_orig"] = img  # R
    return item
images = torch.rand(4, 3, 5, 5)
item = get_item(images, 2)
picture = item["img_orig"].permute(1, 2, 0)
print(picture.min())
""",
    "transform object and pair returned": """
class Jitter:
    def __call__(self, x):
        x.mul_(0.5).add_(0.1)  # W
        return x
class Pairs:
    def __init__(self, xs):
        self.xs, self.jitter = xs, Jitter()
    def __getitem__(self, i):
        x = self.xs[i].clone()
        view = self.jitter(x)  # K
        return view, x  # R
ds = Pairs(torch.rand(4, 3))
for i in range(4):
    v, x = ds[i]
    print((v - x).abs().sum())
""",
    "prev alias every step": """
w = torch.zeros(3)
prev = w  # K
moved = []
for t in range(3):
    w.add_(1)  # W
    moved.append((w - prev).norm().item())  # R
    prev = w  # K
print(moved)
""",
    "convergence check old = theta": """
def fit(x, y, steps=5, lr=0.1):
    theta = torch.zeros(2)
    for it in range(steps):
        old = theta  # K
        grad = x.T @ (x @ theta - y)
        theta -= lr * grad  # W
        if torch.norm(theta - old) < 1e-6:  # R
            break
    return it
print(fit(torch.randn(5, 2), torch.randn(5)))
""",
    "power iteration state in object": """
class Power:
    def __init__(self, a):
        self.a, self.v = a, torch.ones(3)
        self.last = None
    def step(self):
        self.last = self.v  # K
        torch.mv(self.a, self.v.clone(), out=self.v)  # W
        self.v.div_(self.v.norm())  # W
        return (self.v - self.last).norm()  # R
p = Power(torch.eye(3) * 2 + 0.1)
for _ in range(3):
    print(p.step())
""",
    "assert parameters changed": """
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
before = {n: p for n, p in net.named_parameters()}  # K
net(torch.ones(3, 2)).pow(2).mean().backward()
opt.step()  # W
for n, p in net.named_parameters():
    if torch.equal(before[n], p):  # R
        print("did not change", n)
""",
    "ema shadow references": """
class EMA:
    def __init__(self, model, decay=0.9):
        self.decay = decay
        self.shadow = {n: p.data for n, p in model.named_parameters()}  # K
    def update(self, model):
        for n, p in model.named_parameters():
            self.shadow[n].mul_(self.decay).add_(p.data, alpha=1 - self.decay)  # WR
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
ema = EMA(net)
for _ in range(3):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()  # W
    ema.update(net)
print(ema.shadow["weight"].norm())
""",
    "target copies parameters by reference loop": """
class Agent:
    def __init__(self):
        self.online, self.target = nn.Linear(2, 2), nn.Linear(2, 2)
        for t, o in zip(self.target.parameters(), self.online.parameters()):
            t.data = o.data  # K
        self.opt = torch.optim.SGD(self.online.parameters(), lr=0.1)
    def learn(self, x):
        with torch.no_grad():
            y = self.target(x)  # R
        loss = (self.online(x) - y - 1).pow(2).mean()
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()  # W
        return (self.online(x) - self.target(x)).abs().sum()  # R
a = Agent()
for _ in range(2):
    print(a.learn(torch.ones(3, 2)))
""",
    "hidden states yielded and listed": """
def states(n):
    h = torch.zeros(3)
    for i in range(n):
        h.add_(i)  # W
        yield h  # K
seq = [h for h in states(4)]  # K
for h in seq:
    print(h.sum())  # R
""",
    "deque of frames same tensor": """
from collections import deque
frame = torch.zeros(4)
stack = deque(maxlen=3)
for t in range(5):
    frame.copy_(torch.full((4,), float(t)))  # W
    stack.append(frame)  # K
obs = torch.cat(list(stack))  # R
print(obs)
""",
    "buffer view kept then overwritten": """
class Buffer:
    def __init__(self, n):
        self.obs = torch.zeros(n, 3)
        self.i = 0
    def add(self, x):
        self.obs[self.i % 4] = x  # W
        self.i += 1
    def get(self):
        return self.obs  # K
b = Buffer(4)
batches = []
for k in range(3):
    for t in range(4):
        b.add(torch.full((3,), float(t + k)))
    batches.append(b.get())  # K
print(torch.stack(batches).mean(0))  # R
""",
    "running sum appended": """
total = torch.zeros(())
curve = []
for x in torch.arange(4.0):
    total += x  # W
    curve.append(total)  # K
print(torch.stack(curve))  # R
""",
    "per-class prototypes fromkeys": """
protos = dict.fromkeys(["cat", "dog"], torch.zeros(3))  # K
for name, x in (("cat", torch.ones(3)), ("dog", torch.ones(3) * 2)):
    protos[name] += x  # W
print((protos["cat"] - protos["dog"]).norm())  # R
""",
    "list times n read by item": """
rows = [torch.zeros(2)] * 3  # K
for i in range(3):
    rows[i].add_(i)  # W
print([r.sum().item() for r in rows])  # R
""",
    "best weights in dict attr compared by load": """
best = {"acc": -1.0, "weights": None}
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for epoch in range(4):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()  # W
    acc = -abs(epoch - 1)
    if acc > best["acc"]:
        best["acc"] = acc
        best["weights"] = net.state_dict()  # K
net.load_state_dict(best["weights"])  # R
""",
    "checkpoint to cpu no copy": """
class Ckpt:
    def save(self, net):
        self.weights = {k: v.cpu() for k, v in net.state_dict().items()}  # K
    def restore(self, net):
        net.load_state_dict(self.weights)  # R
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
c = Ckpt()
c.save(net)
for _ in range(2):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()  # W
c.restore(net)
""",
    "shallow copy.copy of state": """
import copy
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
start = copy.copy(net.state_dict())  # K
for _ in range(2):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()  # W
drift = sum((v - start[k]).norm() for k, v in net.state_dict().items())  # R
print(drift)
""",
    "list(grad) history gradient noise": """
class Noise:
    def __init__(self):
        self.grads = []
    def record(self, net):
        self.grads.append([p.grad for p in net.parameters()])  # K
    def variance(self):
        return torch.stack([g[0] for g in self.grads]).var(0)  # R
net = nn.Linear(2, 1)
noise = Noise()
for i in range(3):
    net.zero_grad(set_to_none=False)  # W
    net(torch.randn(3, 2)).pow(2).mean().backward()  # W
    noise.record(net)
print(noise.variance())
""",
}

# Copies, fresh tensors, and what is read before it is written again.
SOUND = {
    "transform returns new, pair kept": """
def normalize_img(img, mean=0.5, std=0.25):
    return (img - mean) / std
def get_item(images, i):
    item = {}
    img = images[i].clone()
    item["img"] = normalize_img(img)
    item["img_orig"] = img
    return item
item = get_item(torch.rand(4, 3, 5, 5), 2)
print(item["img_orig"].mean(), item["img"].mean())
""",
    "rebinding in place": """
def normalize_img(img):
    img.sub_(0.5)
    return img
def get_item(images, i):
    img = images[i].clone()
    img = normalize_img(img)
    return {"img": img, "mean": img.mean()}
print(get_item(torch.rand(4, 3), 1))
""",
    "pairwise distances": """
ws = [torch.zeros(2, requires_grad=True) for _ in range(3)]
opt = torch.optim.SGD(ws, lr=0.1)
for _ in range(2):
    opt.zero_grad()
    sum(((a - b) ** 2).sum() + (a - 1).pow(2).sum() for a in ws for b in ws).backward()
    opt.step()
print([[(x - y).norm().item() for x in ws] for y in ws])
""",
    "sampling with replacement": """
import random
random.seed(0)
mem = []
for t in range(4):
    s = torch.zeros(3)
    s.add_(t)
    mem.append(s)
batch = torch.stack([mem[i] for i in (0, 1, 1, 3)])
batch2 = torch.stack([random.choice(mem) for _ in range(8)])
print(batch.mean(), batch2.mean())
""",
    "repeated on purpose": """
h = torch.zeros(2, 3)
h.add_(1)
both = torch.cat([h, h], dim=1)
tiled = torch.stack([h] * 4)
again = torch.stack([h for _ in range(3)])
print(both.sum(), tiled.sum(), again.sum())
""",
    "first step prev is the same": """
w = torch.zeros(3)
w.uniform_()
prev = w
moved = []
for t in range(3):
    moved.append((w - prev).norm().item())
    prev = w.clone()
    w.add_(1)
print(moved)
""",
    "convergence check old = clone": """
def fit(x, y, steps=5, lr=0.1):
    theta = torch.zeros(2)
    for it in range(steps):
        old = theta.clone()
        grad = x.T @ (x @ theta - y)
        theta -= lr * grad
        if torch.norm(theta - old) < 1e-6:
            break
    return it
print(fit(torch.randn(5, 2), torch.randn(5)))
""",
    "convergence rebinding": """
def fit(x, y, steps=5, lr=0.1):
    theta = torch.zeros(2)
    for it in range(steps):
        old = theta
        grad = x.T @ (x @ theta - y)
        theta = theta - lr * grad
        if torch.norm(theta - old) < 1e-6:
            break
    return it
print(fit(torch.randn(5, 2), torch.randn(5)))
""",
    "assert parameters changed cloned": """
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
before = {n: p.clone() for n, p in net.named_parameters()}
net(torch.ones(3, 2)).pow(2).mean().backward()
opt.step()
for n, p in net.named_parameters():
    if torch.equal(before[n], p):
        print("did not change", n)
""",
    "tied weights checked": """
class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(4, 2)
        self.head = nn.Linear(2, 4, bias=False)
        self.head.weight = self.emb.weight
    def forward(self, i):
        return self.head(self.emb(i))
net = Tied()
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(2):
    opt.zero_grad()
    net(torch.tensor([0, 1])).sum().backward()
    opt.step()
print((net.head.weight - net.emb.weight).abs().max(), torch.equal(net.head.weight, net.emb.weight))
""",
    "ema shadow registered clones": """
class EMA:
    def __init__(self, model, decay=0.9):
        self.decay = decay
        self.shadow = {n: p.data.clone() for n, p in model.named_parameters()}
    def update(self, model):
        for n, p in model.named_parameters():
            self.shadow[n].mul_(self.decay).add_(p.data, alpha=1 - self.decay)
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
ema = EMA(net)
for _ in range(3):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()
    ema.update(net)
print(ema.shadow["weight"].norm())
""",
    "target.load_state_dict of live": """
class Agent:
    def __init__(self):
        self.online, self.target = nn.Linear(2, 2), nn.Linear(2, 2)
        self.target.load_state_dict(self.online.state_dict())
        self.opt = torch.optim.SGD(self.online.parameters(), lr=0.1)
    def learn(self, x):
        with torch.no_grad():
            y = self.target(x)
        loss = (self.online(x) - y - 1).pow(2).mean()
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return (self.online(x) - self.target(x)).abs().sum()
a = Agent()
for _ in range(2):
    print(a.learn(torch.ones(3, 2)))
""",
    "deque of frames cloned": """
from collections import deque
frame = torch.zeros(4)
stack = deque(maxlen=3)
for t in range(5):
    frame.copy_(torch.full((4,), float(t)))
    stack.append(frame.clone())
obs = torch.cat(list(stack))
print(obs)
""",
    "memory buffer preallocated columns": """
class Buffer:
    def __init__(self, n):
        self.obs = torch.zeros(n, 3)
        self.i = 0
    def add(self, x):
        self.obs[self.i] = x
        self.i += 1
    def get(self):
        return self.obs[:self.i]
b = Buffer(4)
for t in range(4):
    b.add(torch.full((3,), float(t)))
print(b.get().mean(0))
""",
    "default list of dict of stats": """
log = {"loss": [], "norm": []}
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(3):
    opt.zero_grad()
    loss = net(torch.ones(3, 2)).pow(2).mean()
    loss.backward()
    opt.step()
    log["loss"].append(loss.detach())
    log["norm"].append(net.weight.norm())
print(torch.stack(log["loss"]), torch.stack(log["norm"]))
""",
}

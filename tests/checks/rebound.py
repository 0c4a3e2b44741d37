"""Programs in which a name is given to another tensor; the line that was to write is marked with `# L`."""

from __future__ import annotations

LOST = {
    "rebind in loop": """
net = nn.Linear(2, 1)
for step in range(3):
    net.zero_grad()
    net(torch.ones(2)).sum().backward()
    for p in net.parameters():
        p = p - 0.1 * p.grad  # L
print(net.weight)
""",
    "rebind no_grad": """
net = nn.Linear(2, 1)
for step in range(3):
    net.zero_grad()
    net(torch.ones(2)).sum().backward()
    with torch.no_grad():
        for p in net.parameters():
            p = p - 0.1 * p.grad  # L
print(net.weight)
""",
    "rebind once data": """
net = nn.Linear(2, 1)
net(torch.ones(2)).sum().backward()
for p in net.parameters():
    p = p.data - 0.1 * p.grad.data  # L
""",
    "rebind in function": """
def sgd(params, lr):
    for p in params:
        p = p - lr * p.grad  # L
net = nn.Linear(2, 1)
net(torch.ones(2)).sum().backward()
with torch.no_grad():
    sgd(net.parameters(), 0.1)
""",
    "rebind in list": """
ws = [torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)]
for step in range(2):
    (ws[0] * ws[1]).sum().backward()
    with torch.no_grad():
        for w in ws:
            w = w - 0.1 * w.grad  # L
            w.grad = None
""",
    "rebind init": """
net = nn.Linear(2, 1)
for p in net.parameters():
    p = torch.zeros_like(p)  # L
print(net.weight)
""",
    "rebind to device": """
data = [torch.ones(2), torch.zeros(2)]
for x in data:
    x = x * 2  # L
print(data)
""",
    "ema rebind": """
net, ema = nn.Linear(2, 1), nn.Linear(2, 1)
with torch.no_grad():
    for p, q in zip(net.parameters(), ema.parameters()):
        q = 0.9 * q + 0.1 * p  # L
""",
    "own sgd class": """
class SGD:
    def __init__(self, params, lr):
        self.params, self.lr = list(params), lr
    def step(self):
        with torch.no_grad():
            for p in self.params:
                p = p - self.lr * p.grad  # L
net = nn.Linear(2, 1)
opt = SGD(net.parameters(), 0.1)
for _ in range(2):
    net(torch.ones(2)).sum().backward()
    opt.step()
""",
    "noise to weights": """
net = nn.Linear(2, 1)
for w in net.parameters():
    w = w + torch.randn_like(w) * 0.01  # L
print(net(torch.ones(2)))
""",
    "clamp weights": """
net = nn.Linear(2, 1)
for w in net.parameters():
    w = w.clamp(-0.1, 0.1)  # L
print(net(torch.ones(2)))
""",
    "clamp weights data": """
net = nn.Linear(2, 1)
for w in net.parameters():
    w.data.clamp(-0.1, 0.1)  # L
print(net(torch.ones(2)))
""",
    "tuple states detach": """
h, c = torch.ones(2, requires_grad=True) * 2, torch.ones(2, requires_grad=True) * 2
for s in (h, c):
    s = s.detach()  # L
print(h.requires_grad)
""",
    "param sgd": """
def sgd(w, lr):
    w = w - lr * w.grad  # L
w = torch.ones(2, requires_grad=True)
for _ in range(2):
    (w * w).sum().backward()
    with torch.no_grad():
        sgd(w, 0.1)
    w.grad = None
""",
    "normalise rows": """
m = torch.rand(3, 4)
for row in m:
    row = row / row.sum()  # L
print(m.sum(1))
""",
    "dict values": """
d = {"a": torch.ones(2), "b": torch.zeros(2)}
for k, v in d.items():
    v = v + 1  # L
print(d)
""",
    "enumerate": """
ws = [torch.ones(2), torch.ones(2)]
for i, w in enumerate(ws):
    w = w * i  # L
print(ws)
""",
    "masked": """
boxes = [torch.ones(2), torch.zeros(2)]
for b in boxes:
    b = b.masked_fill(b > 0, 5.0)  # L
print(boxes)
""",
    "where": """
boxes = [torch.ones(2), torch.zeros(2)]
for b in boxes:
    b = torch.where(b > 0, b, -b)  # L
print(boxes)
""",
    "grads clip": """
net = nn.Linear(2, 1)
net(torch.ones(2)).sum().backward()
for g in [p.grad for p in net.parameters()]:
    g = g.clamp(-0.1, 0.1)  # L
opt = torch.optim.SGD(net.parameters(), lr=0.1)
opt.step()
""",
    "reset state": """
def reset(h):
    h = torch.zeros_like(h)  # L
h = torch.ones(3)
reset(h)
print(h.sum())
""",
    "init weights": """
def init(m):
    for p in m.parameters():
        p = torch.randn_like(p) * 0.01  # L
net = nn.Linear(2, 1)
init(net)
net(torch.ones(2))
""",
    "tau target": """
class Agent:
    def __init__(self):
        self.net, self.target, self.tau = nn.Linear(2, 1), nn.Linear(2, 1), 0.01
    def soft(self):
        for t, s in zip(self.target.parameters(), self.net.parameters()):
            t = (1 - self.tau) * t + self.tau * s  # L
agent = Agent()
agent.soft()
agent.target(torch.ones(2))
""",
    "data copy": """
net, tgt = nn.Linear(2, 1), nn.Linear(2, 1)
for t, s in zip(tgt.parameters(), net.parameters()):
    t = t.data * 0.9 + s.data * 0.1  # L
tgt(torch.ones(2))
""",
    "two loops": """
net = nn.Linear(2, 1)
for _ in range(2):
    net(torch.ones(2)).sum().backward()
    for p in net.parameters():
        p = p - 0.1 * p.grad  # L
    for p in net.parameters():
        p.grad.zero_()
print(sum(p.norm() for p in net.parameters()))
""",
}

SOUND = {
    "rebind init normal": """
net = nn.Linear(2, 1)
for name, p in net.named_parameters():
    if "bias" in name:
        p = torch.nn.init.zeros_(p)
""",
    "normalised in loop": """
for x in [torch.ones(2), torch.zeros(2)]:
    x = x * 2
    print(x.sum())
""",
    "total": """
net = nn.Linear(2, 1)
total = 0
for p in net.parameters():
    p = p.detach() ** 2
    total = total + p.sum()
""",
    "inplace": """
net = nn.Linear(2, 1)
net(torch.ones(2)).sum().backward()
with torch.no_grad():
    for p in net.parameters():
        p -= 0.1 * p.grad
""",
    "polyak data rebind": """
net, tgt = nn.Linear(2, 1), nn.Linear(2, 1)
for p, q in zip(net.parameters(), tgt.parameters()):
    q.data = 0.9 * q.data + 0.1 * p.data
""",
    "load later": """
out = []
for x in [torch.ones(2), torch.zeros(2)]:
    x = x * 2
    out.append(x)
""",
    "read after loop": """
data = [torch.ones(2), torch.zeros(2)]
for x in data:
    x = x * 2
print(x)
""",
    "closure": """
data = [torch.ones(2), torch.zeros(2)]
fs = []
for x in data:
    fs.append(lambda: x.sum())
    x = x * 2
print(fs[0]())
""",
    "timed": """
import time
data = [torch.ones(2), torch.zeros(2)]
t0 = time.perf_counter()
for x in data:
    x = x * 2
t1 = time.perf_counter()
""",
    "while accumulates": """
def power(x, n):
    for _ in range(n):
        x = x * x
    return x
print(power(torch.ones(2), 3))
""",
    "function returns": """
def clip(w):
    w = w.clamp(-1, 1)
    return w
v = clip(torch.randn(3))
""",
    "function default then used": """
def f(x, scale=None):
    x = x * 2
    y = x + 1
    return y
f(torch.ones(2))
""",
    "for fgsm": """
net = nn.Linear(2, 1)
for x in [torch.ones(2), torch.zeros(2)]:
    x.requires_grad_()
    net(x).sum().backward()
    x = x + 0.1 * x.grad.sign()
    print(net(x).item())
""",
    "inner loop reads": """
data = [torch.ones(2), torch.zeros(2)]
for x in data:
    for k in range(3):
        x = x + k
    print(x.sum())
""",
    "branch": """
data = [torch.ones(2), torch.zeros(2)]
tot = 0
for x in data:
    if x.sum() > 0:
        x = x / x.sum()
    tot = tot + x
""",
    "eval": """
data = [torch.ones(2), torch.zeros(2)]
for x in data:
    x = x * 2
    print(f"{x}")
""",
    "yield": """
def gen(xs):
    for x in xs:
        x = x * 2
        yield x
print(list(gen([torch.ones(2)])))
""",
    "try finally": """
data = [torch.ones(2)]
for x in data:
    try:
        x = x * 2
    finally:
        print(x)
""",
    "numbers": """
w = torch.ones(2, requires_grad=True)
for s in [1.0, 2.0]:
    s = s * w
""",
    "temporaries": """
for x in (torch.ones(2) * k for k in range(3)):
    x = x * 2
""",
    "nested def": """
def outer(x):
    def inner():
        return x.sum()
    x = x * 2
    return inner
print(outer(torch.ones(2))())
""",
    "global use": """
x = None
def show():
    return x
for x in [torch.ones(2), torch.zeros(2)]:
    x = x * 2
    show()
""",
    "unused in one of two": """
def step(x, h):
    h = torch.tanh(x + h)
    return x, h
step(torch.ones(2), torch.zeros(2))
""",
    "nonlocal store": """
class A:
    def f(self, x):
        x = x.relu()
        self.y = x
A().f(torch.ones(2))
""",
}

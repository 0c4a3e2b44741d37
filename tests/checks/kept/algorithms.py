"""Programs in which a tensor is kept by reference, and their sound twins.

The lines are marked: `# K` kept it, `# W` wrote it, `# R` reads it back. All run as they stand, and in a function.
"""

from __future__ import annotations

# Nobody can have meant these.
WARNED = {
    "returned matrix kept per epoch": """
class Conf:
    def __init__(self, n):
        self.m = torch.zeros(n, n)
    def update(self, p, y):
        for a, b in zip(p, y):
            self.m[a, b] += 1  # W
        return self.m
c = Conf(3)
history = []
for epoch in range(3):
    history.append(c.update(torch.randint(0, 3, (5,)), torch.randint(0, 3, (5,))))  # KW
gain = [b.trace() - a.trace() for a, b in zip(history, history[1:])]
print((history[-1] - history[0]).sum())  # R
""",
    "target network is online by function": """
def make(n):
    online = nn.Linear(n, n)
    target = online  # K
    return online, target
online, target = make(2)
opt = torch.optim.SGD(online.parameters(), lr=0.1)
for _ in range(3):
    x = torch.ones(4, 2)
    with torch.no_grad():
        y = target(x)  # R
    opt.zero_grad()
    (online(x) - y - 1).pow(2).mean().backward()
    opt.step()  # W
""",
    "best model is the model": """
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
best, best_loss = None, 1e9
for epoch in range(4):
    opt.zero_grad()
    loss = net(torch.ones(3, 2)).pow(2).mean()
    loss.backward()
    opt.step()  # W
    if epoch == 1:
        best, best_loss = net, loss.item()  # K
with torch.no_grad():
    diff = (best.weight - net.weight).abs().sum()  # R
print(diff)
""",
    "clipping reference mutated input": """
def augment(x, p=0.5):
    x[:, 0] = 0  # W
    return x
clean = torch.randn(4, 3)
noisy = augment(clean)  # K
loss = (noisy - clean).pow(2).mean()  # R
print(loss)
""",
    "copy.copy of sample then in place": """
import copy
sample = {"img": torch.rand(3, 4), "label": 1}
orig = copy.copy(sample)  # K
sample["img"].sub_(0.5).div_(0.25)  # W
print((orig["img"] - sample["img"]).abs().max())  # R
""",
    "list slice copy then in place": """
layers = [torch.ones(2) for _ in range(3)]
backup = layers[:]  # K
for l in layers:
    l.mul_(0.5)  # W
print([(a - b).norm().item() for a, b in zip(backup, layers)])  # R
""",
    "lookahead slow weights by reference": """
class Lookahead:
    def __init__(self, opt, k=2):
        self.opt, self.k, self.n = opt, k, 0
        self.slow = [[p for p in g["params"]] for g in opt.param_groups]  # K
    @torch.no_grad()
    def step(self):
        self.opt.step()  # W
        self.n += 1
        if self.n % self.k == 0:
            for g, slow in zip(self.opt.param_groups, self.slow):
                for p, s in zip(g["params"], slow):
                    s.add_(p - s, alpha=0.5)  # R
                    p.copy_(s)
net = nn.Linear(2, 1)
opt = Lookahead(torch.optim.SGD(net.parameters(), lr=0.1))
for _ in range(4):
    net.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()
""",
    "sam perturbation restored from reference": """
class SAM:
    def __init__(self, net, rho=0.05):
        self.net, self.rho, self.saved = net, rho, {}
    @torch.no_grad()
    def up(self):
        for p in self.net.parameters():
            self.saved[p] = p.data  # K
            p.add_(p.grad, alpha=self.rho)  # W
    @torch.no_grad()
    def down(self):
        for p in self.net.parameters():
            p.copy_(self.saved[p])  # R
net = nn.Linear(2, 1)
opt, sam = torch.optim.SGD(net.parameters(), lr=0.1), SAM(net)
for _ in range(2):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    sam.up()
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    sam.down()
    opt.step()
""",
    "adversarial delta projection uses x itself": """
def pgd(net, x, eps=0.1, steps=3):
    adv = x.detach()  # K
    for _ in range(steps):
        adv.requires_grad_(False)
        g = torch.randn_like(adv).sign()
        adv.add_(0.05 * g)  # W
        adv.copy_(torch.min(torch.max(adv, x - eps), x + eps))  # W
    return (adv - x).abs().max()  # R
print(pgd(nn.Linear(2, 2), torch.rand(3, 2)))
""",
    "weight norm history through vector view": """
from torch.nn.utils import parameters_to_vector
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
track = []
for _ in range(3):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()  # W
    track.append(net.weight.detach().flatten())  # K
print(torch.stack(track).diff(dim=0).norm())  # R
""",
}

# Copies, fresh tensors, and what is read before it is written again.
SOUND = {
    "gan fixed noise and buffer": """
G, D = nn.Linear(2, 3), nn.Linear(3, 1)
og, od = torch.optim.Adam(G.parameters(), lr=0.01), torch.optim.Adam(D.parameters(), lr=0.01)
fixed, samples = torch.randn(4, 2), []
for step in range(3):
    z = torch.randn(4, 2)
    fake = G(z)
    od.zero_grad()
    (D(torch.randn(4, 3)) - D(fake.detach())).mean().backward()
    od.step()
    og.zero_grad()
    D(fake).mean().backward()
    og.step()
    with torch.no_grad():
        samples.append(G(fixed))
print(torch.stack(samples).std(0).mean())
""",
    "rnn hidden carried in place": """
cell = nn.GRUCell(2, 3)
h = torch.zeros(4, 3)
opt = torch.optim.SGD(cell.parameters(), lr=0.1)
for t in range(4):
    h = h.detach()
    h = cell(torch.randn(4, 2), h)
    opt.zero_grad()
    h.sum().backward()
    opt.step()
""",
    "swa manual average in place": """
import copy
net = nn.Linear(2, 1)
swa, n = copy.deepcopy(net), 0
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(3):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()
    n += 1
    with torch.no_grad():
        for a, p in zip(swa.parameters(), net.parameters()):
            a += (p - a) / n
print(sum((a - p).norm() for a, p in zip(swa.parameters(), net.parameters())))
""",
    "ring buffer read as slices": """
class Ring:
    def __init__(self, n, d):
        self.buf, self.i, self.n = torch.zeros(n, d), 0, n
    def push(self, x):
        self.buf[self.i % self.n] = x
        self.i += 1
    def sample(self, k):
        idx = torch.randint(0, min(self.i, self.n), (k,))
        return self.buf[idx]
r = Ring(4, 3)
losses = []
for t in range(8):
    r.push(torch.randn(3))
    batch = r.sample(2)
    losses.append(batch.mean())
print(torch.stack(losses).mean())
""",
    "confusion matrix accumulates": """
class Conf:
    def __init__(self, n):
        self.m = torch.zeros(n, n)
    def update(self, p, y):
        for a, b in zip(p, y):
            self.m[a, b] += 1
        return self.m
c = Conf(3)
for _ in range(3):
    m = c.update(torch.randint(0, 3, (5,)), torch.randint(0, 3, (5,)))
print(m.diag().sum() / m.sum())
""",
    "eligibility traces reset": """
class Agent:
    def __init__(self):
        self.w, self.e = torch.zeros(3), torch.zeros(3)
    def step(self, x, r):
        self.e.mul_(0.9).add_(x)
        self.w.add_(self.e, alpha=0.1 * r)
        return self.w @ x
a = Agent()
for _ in range(4):
    a.step(torch.randn(3), 1.0)
""",
    "augment clone": """
def augment(x, p=0.5):
    x = x.clone()
    x[:, 0] = 0
    return x
clean = torch.randn(4, 3)
noisy = augment(clean)
loss = (noisy - clean).pow(2).mean()
print(loss)
""",
    "list copy then rebinding items": """
layers = [torch.ones(2) for _ in range(3)]
backup = layers[:]
for i, l in enumerate(layers):
    layers[i] = l * 0.5
print([(a - b).norm().item() for a, b in zip(backup, layers)])
""",
    "lookahead slow weights cloned": """
class Lookahead:
    def __init__(self, opt, k=2):
        self.opt, self.k, self.n = opt, k, 0
        self.slow = [[p.detach().clone() for p in g["params"]] for g in opt.param_groups]
    @torch.no_grad()
    def step(self):
        self.opt.step()
        self.n += 1
        if self.n % self.k == 0:
            for g, slow in zip(self.opt.param_groups, self.slow):
                for p, s in zip(g["params"], slow):
                    s.add_(p - s, alpha=0.5)
                    p.copy_(s)
net = nn.Linear(2, 1)
opt = Lookahead(torch.optim.SGD(net.parameters(), lr=0.1))
for _ in range(4):
    net.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()
""",
    "weight history through vector copy": """
from torch.nn.utils import parameters_to_vector
net = nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
track = []
for _ in range(3):
    opt.zero_grad()
    net(torch.ones(3, 2)).pow(2).mean().backward()
    opt.step()
    track.append(parameters_to_vector(net.parameters()).detach())
print(torch.stack(track).diff(dim=0).norm())
""",
}

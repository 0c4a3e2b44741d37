"""Programs in which a gradient is kept by reference while backward adds to it, and their sound twins.

The lines are marked: `# K` kept it, `# W` wrote it, `# R` reads it back. All run as they stand, and in a function.
"""

from __future__ import annotations

WARNED = {
    "gradients of two losses": """
w = nn.Linear(3, 1)
x = torch.ones(4, 3)
w(x).mean().backward()
g1 = w.weight.grad  # K
w(x).square().mean().backward()  # W
g2 = w.weight.grad
print(torch.nn.functional.cosine_similarity(g1.flatten(), g2.flatten(), dim=0))  # R
""",
    "gradients that conflict": """
w = nn.Linear(3, 1)
x = torch.ones(4, 3)
w(x).mean().backward()
first = w.weight.grad  # K
(-w(x).square()).mean().backward()  # W
second = w.weight.grad
if torch.dot(first.flatten(), second.flatten()) < 0:  # R
    print("they pull apart")
""",
    "gradients of all parameters": """
net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
x = torch.ones(4, 3)
net(x).mean().backward()
before = [p.grad for p in net.parameters()]  # K
net(2 * x).mean().backward()  # W
print(sum((p.grad - b).norm() for p, b in zip(net.parameters(), before)))  # R
""",
    "a history of gradients": """
net = nn.Linear(3, 1)
history = []
for x in torch.eye(3):
    net(x).sum().backward()  # W
    history.append(net.weight.grad)  # K
print(torch.stack(history).var(0))  # R
""",
    "flat gradients": """
net = nn.Linear(3, 1)
flats = []
for x in torch.eye(3):
    net(x).sum().backward()  # W
    flats.append(net.weight.grad.view(-1))  # K
print((flats[0] - flats[1]).norm())  # R
""",
    "a tracker of changes": """
class Tracker:
    def __init__(self, net):
        self.net, self.last = net, None
    def look(self):
        now = self.net.weight.grad
        change = None if self.last is None else (now - self.last).norm()  # R
        self.last = now  # K
        return change
net = nn.Linear(3, 1)
tracker = Tracker(net)
for x in torch.eye(3):
    net(x).sum().backward()  # W
    tracker.look()
""",
    "a check that parts add up": """
net = nn.Linear(3, 1)
x = torch.ones(2, 3)
net(x).sum().backward()
whole = net.weight.grad  # K
net(x[:1]).sum().backward()  # W
net(x[1:]).sum().backward()
assert torch.allclose(whole, net.weight.grad)  # R
""",
    "a gradient that was put there": """
w = torch.ones(2, requires_grad=True)
(start,) = torch.autograd.grad((w * 2).sum(), w)
w.grad = start  # K
(w * 3).sum().backward()  # W
print(w.grad - start)  # R
""",
    "arrays of a gradient": """
import numpy as np
net = nn.Linear(3, 1)
log = []
for x in torch.eye(3):
    net(x).sum().backward()  # W
    log.append(net.weight.grad.numpy())  # K
print(np.stack(log).std(0))  # R
""",
}

SOUND = {
    "copies of gradients": """
w = nn.Linear(3, 1)
x = torch.ones(4, 3)
w(x).mean().backward()
g1 = w.weight.grad.clone()
w(x).square().mean().backward()
print(torch.dot(g1.flatten(), (w.weight.grad - g1).flatten()))
""",
    "new gradients": """
net = nn.Linear(3, 1)
history = []
for x in torch.eye(3):
    net.zero_grad()
    net(x).sum().backward()
    history.append(net.weight.grad)
print(torch.stack(history).var(0))
""",
    "accumulated on purpose": """
net = nn.Linear(3, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(6):
    (net(torch.ones(4, 3)).mean() / 3).backward()
    norm = sum(p.grad.norm() for p in net.parameters())
    if step % 3 == 2:
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        opt.zero_grad()
print(norm)
""",
    "looked at each time": """
w = torch.ones(2, requires_grad=True)
for k in range(4):
    (w * k).sum().backward()
    print(w.grad, w.grad.abs().max().item())
""",
    "a handle on the sum": """
w = torch.ones(2, requires_grad=True)
(w * 0).sum().backward()
total = w.grad
for k in range(3):
    (w * k).sum().backward()
print(total)
""",
    "begun with zeros": """
w = torch.ones(2, requires_grad=True)
w.grad = torch.zeros(2)
for k in range(3):
    (w * k).sum().backward()
print(w.grad.sum())
""",
    "zeroed in place": """
w = torch.ones(2, requires_grad=True)
for k in range(3):
    (w * w * k).sum().backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
        w.grad.zero_()
print(w)
""",
    "joined into a copy": """
net = nn.Linear(3, 1)
log = []
for x in torch.eye(3):
    net(x).sum().backward()
    log.append(torch.cat([p.grad.flatten() for p in net.parameters()]))
print((log[1] - log[0]).norm())
""",
    "gradients that nobody accumulates": """
w = torch.ones(2, requires_grad=True)
(g1,) = torch.autograd.grad((w * 2).sum(), w)
(g2,) = torch.autograd.grad((w * 3).sum(), w)
print(g1 - g2)
""",
    "one and the same object": """
w = torch.ones(2, requires_grad=True)
w.sum().backward()
g = w.grad
w.sum().backward()
assert w.grad is g
""",
    "another graph than the old one": """
w = torch.ones(2, requires_grad=True)
(w**3).sum().backward(create_graph=True)
g = w.grad
(w.grad**2).sum().backward()
print(g, w.grad)
""",
}

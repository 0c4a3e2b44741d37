"""A character model by hand: parameters in a list, updated through .data, batch norm with running statistics."""

import torch
from torch.nn import functional as F

g = torch.Generator().manual_seed(0)
table = torch.randn((27, 6), generator=g)
w1 = torch.randn((18, 32), generator=g) * 0.2
w2 = torch.randn((32, 27), generator=g) * 0.01
b2 = torch.randn(27, generator=g) * 0
gain, shift = torch.ones((1, 32)), torch.zeros((1, 32))
mean_running, std_running = torch.zeros((1, 32)), torch.ones((1, 32))
parameters = [table, w1, w2, b2, gain, shift]
for p in parameters:
    p.requires_grad = True
x, y = torch.randint(0, 27, (64, 3), generator=g), torch.randint(0, 27, (64,), generator=g)
losses = []
for step in range(6):
    some = torch.randint(0, 64, (8,), generator=g)
    before = table[x[some]].view(8, -1) @ w1
    mean, std = before.mean(0, keepdim=True), before.std(0, keepdim=True)
    h = torch.tanh(gain * (before - mean) / std + shift)
    with torch.no_grad():
        mean_running = 0.999 * mean_running + 0.001 * mean
        std_running = 0.999 * std_running + 0.001 * std
    logits = h @ w2 + b2
    loss = F.cross_entropy(logits, y[some])
    for p in parameters:
        p.grad = None
    loss.backward()
    rate = 0.1 if step < 4 else 0.01
    for p in parameters:
        p.data += -rate * p.grad
    losses.append(loss.log10().item())


@torch.no_grad()
def evaluate():
    h = torch.tanh(gain * (table[x].view(64, -1) @ w1 - mean_running) / std_running + shift)
    return F.cross_entropy(h @ w2 + b2, y).item()


evaluate()

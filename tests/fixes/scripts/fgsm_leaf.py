# kind: rebound-leaf
# new: x = (x + eps * x.grad.sign()).detach().requires_grad_()
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


def attack(model, x, y, eps=0.1, steps=3):
    x = x.clone().requires_grad_(True)
    for _ in range(steps):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        x = x + eps * x.grad.sign()
    return x.detach()


model = nn.Linear(4, 3)
attack(model, torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1]))

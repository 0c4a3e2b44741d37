# title: one scratch tensor is refilled with out= for every sample of the reparametrisation
# kind: saved-tensor-modified
# raises: RuntimeError
# culprit: 17
# victim: 18
# names: eps, scratch
# fix: draw fresh noise with torch.randn_like(std)
# source: own reduction of https://github.com/pytorch/pytorch/issues/150181
import torch

torch.manual_seed(112)
mu = torch.zeros(3, requires_grad=True)
log_std = torch.zeros(3, requires_grad=True)
eps = torch.empty(3)

def draw():
    torch.randn(3, out=eps)
    return mu + log_std.exp() * eps

samples = torch.stack([draw() for _ in range(4)])
loss = samples.pow(2).mean()
loss.backward()

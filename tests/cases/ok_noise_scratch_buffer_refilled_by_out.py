# title: one scratch tensor is refilled with out= and only added
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/issues/150181
import torch

torch.manual_seed(112)
mu = torch.zeros(3, requires_grad=True)
eps = torch.empty(3)

def draw(sigma):
    torch.randn(3, out=eps)
    torch.mul(eps, sigma, out=eps)
    return mu + eps

samples = torch.stack([draw(0.1 * i) for i in range(1, 5)])
loss = samples.pow(2).mean()
loss.backward()

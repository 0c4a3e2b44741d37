# title: pairwise distances clamped in place after the square root
# kind: saved-tensor-modified
# raises: RuntimeError
# culprit: 14
# victim: 13
# names: dist
# fix: clamp the squared distance before sqrt, or use dist.clamp
# source: own reduction of https://github.com/pytorch/pytorch/pull/31378
import torch

def pairwise(x):
    sq = (x[:, None, :] - x[None, :, :]).pow(2).sum(-1) + 1e-9
    dist = sq.sqrt()
    dist.clamp_(min=0.1)
    return dist

torch.manual_seed(107)
points = torch.randn(4, 2, requires_grad=True)
energy = (1 / pairwise(points)).sum()
energy.backward()

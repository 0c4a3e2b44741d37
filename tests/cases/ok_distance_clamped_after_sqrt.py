# title: squared distances clamped in place before the square root
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/pull/31378
import torch

def pairwise(x):
    sq = (x[:, None, :] - x[None, :, :]).pow(2).sum(-1) + 1e-9
    sq.clamp_(min=0.01)
    return sq.sqrt()

torch.manual_seed(107)
points = torch.randn(4, 2, requires_grad=True)
energy = (1 / pairwise(points)).sum()
energy.backward()

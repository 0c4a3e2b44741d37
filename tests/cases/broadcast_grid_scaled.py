# title: broadcast coordinates scaled in place
# kind: overlapping-write
# raises: RuntimeError
# culprit: 13
# victim: none
# names: xs, grid
# fix: xs = torch.broadcast_to(...).clone()
# source: own reduction of https://github.com/Thrandis/EKFAC-pytorch/issues/8
import torch

def normalised_grid(h, w):
    ys, xs = torch.broadcast_tensors(torch.arange(h).view(-1, 1).float(), torch.arange(w).float())
    xs.mul_(2 / (w - 1)).sub_(1)
    ys.mul_(2 / (h - 1)).sub_(1)
    return torch.stack([xs, ys], dim=-1)

print(normalised_grid(3, 4).shape)

# title: coordinates scaled in place before they are broadcast
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/Thrandis/EKFAC-pytorch/issues/8
import torch

def normalised_grid(h, w):
    ys, xs = torch.arange(h).view(-1, 1).float(), torch.arange(w).float()
    xs.mul_(2 / (w - 1)).sub_(1)
    ys.mul_(2 / (h - 1)).sub_(1)
    return torch.stack(torch.broadcast_tensors(xs, ys), dim=-1)

print(normalised_grid(3, 4).shape)

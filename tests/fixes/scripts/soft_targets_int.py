# kind: result-does-not-fit
# new: out = out.mul(1 - eps).add(eps / n)
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


def smooth(labels, n, eps=0.1):
    out = F.one_hot(labels, n)
    out.mul_(1 - eps).add_(eps / n)
    return out


net = nn.Linear(4, 3)
F.cross_entropy(net(torch.randn(5, 4)), smooth(torch.tensor([0, 1, 2, 0, 1]), 3)).backward()

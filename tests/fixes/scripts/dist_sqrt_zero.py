# kind: non-finite-gradient
# new: return diff.pow(2).sum(-1).clamp_min(1e-12).sqrt()
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


def pairwise(x):
    diff = x.unsqueeze(1) - x.unsqueeze(0)
    return diff.pow(2).sum(-1).sqrt()


def triplet(embed, x, margin=0.2):
    d = pairwise(embed(x))
    return F.relu(d - margin).mean()


embed = nn.Linear(4, 2)
opt = torch.optim.SGD(embed.parameters(), lr=0.1)
for _ in range(2):
    loss = triplet(embed, torch.randn(6, 4))
    opt.zero_grad()
    loss.backward()
    opt.step()

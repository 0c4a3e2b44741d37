# kind: overlapping-write
# new: table = torch.arange(dim, dtype=torch.float32).expand(n, dim).clone()
import torch
import torch.nn as nn

torch.manual_seed(0)


def positions(n, dim):
    table = torch.arange(dim, dtype=torch.float32).expand(n, dim)
    table[0] *= 0
    return table


emb = nn.Linear(4, 4)
emb(positions(3, 4)).sum().backward()

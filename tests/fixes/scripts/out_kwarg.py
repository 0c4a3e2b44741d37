# kind: graph-detached
# new: buffer = torch.mul(a, b)
import torch
import torch.nn as nn

torch.manual_seed(0)


def fuse(a, b, buffer):
    torch.mul(a, b, out=buffer)
    return buffer


fa, fb = nn.Linear(3, 3), nn.Linear(3, 3)
x = torch.randn(2, 3)
fuse(fa(x), fb(x), torch.empty(2, 3)).sum().backward()

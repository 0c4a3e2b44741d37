# kind: saved-tensor-modified
# new: n = n.mul(1 - z)
import torch
import torch.nn as nn

torch.manual_seed(0)


class Gate(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.i = nn.Linear(d, d)
        self.h = nn.Linear(d, d)

    def forward(self, x, h):
        z = torch.sigmoid(self.i(x) + self.h(h))
        n = torch.tanh(self.i(x))
        n.mul_(1 - z)
        n.add_(z * h)
        return n


gate = Gate(4)
h = torch.zeros(2, 4)
for x in torch.randn(3, 2, 4):
    h = gate(x, h)
h.sum().backward()

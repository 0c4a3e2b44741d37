# kind: graph-detached
# new: (moved) def contrast(a, b, margin):
import torch
import torch.nn as nn

torch.manual_seed(0)


@torch.no_grad()
def contrast(a, b, margin):
    return (margin - (a - b).norm(dim=1)).clamp(min=0).mean()


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(4, 3)
        self.margin = nn.Parameter(torch.tensor(1.0))


net = Siamese()
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(2):
    a, b = net.embed(torch.randn(5, 4)), net.embed(torch.randn(5, 4))
    loss = contrast(a, b, net.margin) + a.pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()

# kind: lost-write
# new: param.requires_grad = False
import torch
import torch.nn as nn

torch.manual_seed(0)


def freeze(module):
    for param in module.parameters():
        param.requires_gard = False


net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1))
freeze(net[0])
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(2):
    opt.zero_grad()
    net(torch.randn(4, 3)).pow(2).mean().backward()
    opt.step()

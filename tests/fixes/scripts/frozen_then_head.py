# kind: rebound-leaf
# new: self.opt.add_param_group({"params": self.net[1].parameters()})
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class Finetune:
    def __init__(self, net):
        self.net = net
        self.opt = torch.optim.SGD(net.parameters(), lr=0.1)
        self.net[1] = nn.Linear(4, 3)

    def step(self, x, y):
        self.opt.zero_grad()
        loss = F.cross_entropy(self.net(x), y)
        loss.backward()
        self.opt.step()


f = Finetune(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)))
for _ in range(2):
    f.step(torch.randn(3, 4), torch.tensor([0, 1, 2]))

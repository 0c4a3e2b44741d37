# title: initial weights deep-copied from state_dict() before the training
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: https://github.com/kmzzhang/nbi/issues/11
import copy
import torch
from torch import nn

def train(net, steps=2):
    opt = torch.optim.Adam(net.parameters(), lr=0.1)
    for _ in range(steps):
        opt.zero_grad()
        net(torch.ones(1, 2)).square().sum().backward()
        opt.step()

torch.manual_seed(507)
net = nn.Linear(2, 2)
init = copy.deepcopy(net.state_dict())
start = net.weight.detach().clone()
for fold in range(2):
    net.load_state_dict(init)
    train(net)
net.load_state_dict(init)
print("reset:", torch.equal(start, net.weight))

# title: initial weights kept in a dict comprehension over state_dict() cannot undo the training
# kind: shared-reference
# raises: none
# culprit: 17, 21, 25
# victim: none
# names: init, net
# fix: {k: v.clone() for k, v in net.state_dict().items()}
# source: https://github.com/kmzzhang/nbi/issues/11
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
init = {k: v for k, v in net.state_dict().items()}
start = net.weight.detach().clone()
for fold in range(2):
    net.load_state_dict(init)
    train(net)
net.load_state_dict(init)
print("reset:", torch.equal(start, net.weight))

# title: target network computed under no_grad is moved before backward
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/lhoyer/DAFormer/issues/59
import copy
import torch
from torch import nn

def make():
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))

def move_target(online, target, tau=0.05):
    with torch.no_grad():
        for po, pt in zip(online.parameters(), target.parameters()):
            pt.lerp_(po, tau)

def main():
    torch.manual_seed(102)
    online = make()
    target = copy.deepcopy(online)
    opt = torch.optim.SGD(online.parameters(), lr=0.1)
    for a, b in torch.randn(3, 2, 5, 4):
        z = online(a)
        with torch.no_grad():
            t = target(b)
        loss = (z - t).pow(2).sum(1).mean()
        move_target(online, target)
        opt.zero_grad()
        loss.backward()
        opt.step()

main()

# title: target network in the graph is moved by its moving average before backward
# kind: saved-tensor-modified
# raises: RuntimeError
# culprit: 19
# victim: 28
# names: target, pt
# fix: compute the target branch under torch.no_grad(), or move it after opt.step()
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
    a, b = torch.randn(5, 4), torch.randn(5, 4)
    z = online(a)
    t = target(b)
    loss = (z - t).pow(2).sum(1).mean()
    move_target(online, target)
    opt.zero_grad()
    loss.backward()
    opt.step()

main()

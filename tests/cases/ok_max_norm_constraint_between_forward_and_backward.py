# title: max-norm constraint renormalises the weights after the optimizer step
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/torchgan/torchgan/pull/42
import torch
from torch import nn

def constrain(net, limit=0.5):
    for layer in net:
        if isinstance(layer, nn.Linear):
            with torch.no_grad():
                layer.weight.copy_(layer.weight.renorm(2, 0, limit))

def main():
    torch.manual_seed(113)
    net = nn.Sequential(nn.Linear(3, 6), nn.ELU(), nn.Linear(6, 2))
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    x, y = torch.randn(5, 3), torch.tensor([0, 1, 1, 0, 1])
    for _ in range(2):
        constrain(net)
        opt.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        opt.step()
        constrain(net)

if __name__ == "__main__":
    main()

# title: max-norm constraint renormalises the weights before backward
# kind: saved-tensor-modified
# raises: RuntimeError
# culprit: 16
# victim: 23
# names: net, layer
# fix: apply the constraint after optimizer.step()
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
    logits = net(x)
    constrain(net)
    nn.functional.cross_entropy(logits, y).backward()
    opt.step()

if __name__ == "__main__":
    main()

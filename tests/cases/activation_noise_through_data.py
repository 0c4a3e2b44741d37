# title: noise added to activations through .data in a forward hook
# kind: silent-corruption
# raises: none
# culprit: 13
# victim: 18
# names: out, h
# fix: return out + noise from the hook
# source: own reduction of https://github.com/pytorch/pytorch/issues/33630
import torch
from torch import nn

def add_noise(module, args, out):
    out.data.add_(torch.randn_like(out))

torch.manual_seed(209)
net = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 1))
net[1].register_forward_hook(add_noise)
h = net(torch.randn(2, 3))
h.square().sum().backward()
print(net[0].weight.grad.norm())

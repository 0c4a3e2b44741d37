# title: tensor hooks clamp out of place, and leaves clamp in place after backward
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://pytorch.org/docs/stable/generated/torch.Tensor.register_hook.html
import torch
from torch import nn

torch.manual_seed(604)
a, b = nn.Linear(3, 2), nn.Linear(3, 2)
x = torch.randn(4, 3)
left = a(x).sigmoid()
right = b(x).sigmoid()
right.register_hook(lambda g: g.clamp(-0.5, 0.5))
both = left + right
(both * 10).pow(2).sum().backward()
for layer in (a, b):
    layer.weight.grad.clamp_(-1, 1)
print(a.weight.grad.norm(), b.weight.grad.norm())

# title: tensor hook clamps its gradient in place, which a parallel branch shares
# kind: custom-function
# raises: none
# culprit: 17
# victim: none
# names: right, left, both, grad, g
# fix: right.register_hook(lambda g: g.clamp(-0.5, 0.5))
# source: own reduction of https://pytorch.org/docs/stable/generated/torch.Tensor.register_hook.html
import torch
from torch import nn

torch.manual_seed(604)
a, b = nn.Linear(3, 2), nn.Linear(3, 2)
x = torch.randn(4, 3)
left = a(x).sigmoid()
right = b(x).sigmoid()
right.register_hook(lambda g: g.clamp_(-0.5, 0.5))
both = left + right
(both * 10).pow(2).sum().backward()
print(a.weight.grad.norm(), b.weight.grad.norm())

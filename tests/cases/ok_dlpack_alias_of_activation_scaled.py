# title: copy of an activation scaled through DLPack
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/pull/57110
import torch
from torch import nn
from torch.utils.dlpack import from_dlpack, to_dlpack

torch.manual_seed(204)
body, head = nn.Linear(3, 4), nn.Linear(4, 1)
h = torch.tanh(body(torch.randn(2, 3)))
score = head(h).mean()
shown = from_dlpack(to_dlpack(h.detach().clone()))
shown.mul_(10)
score.backward()
print(body.weight.grad.norm(), head.weight.grad, shown.max() > 1)

# title: activation scaled through a DLPack alias before backward
# kind: silent-corruption
# raises: none
# culprit: 18
# victim: 15, 16
# names: h, alias
# fix: torch.from_dlpack(h.detach().clone())
# source: own reduction of https://github.com/pytorch/pytorch/pull/57110
import torch
from torch import nn
from torch.utils.dlpack import from_dlpack, to_dlpack

torch.manual_seed(204)
body, head = nn.Linear(3, 4), nn.Linear(4, 1)
h = torch.tanh(body(torch.randn(2, 3)))
score = head(h).mean()
alias = from_dlpack(to_dlpack(h.detach()))
alias.mul_(10)
score.backward()
print(body.weight.grad.norm(), head.weight.grad, alias.max() > 1)

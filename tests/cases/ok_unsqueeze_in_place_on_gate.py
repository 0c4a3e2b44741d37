# title: linear output reshaped with unsqueeze_ and t_ before anything saved it
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/issues/37441
import torch
from torch import nn

torch.manual_seed(117)
to_gate = nn.Linear(3, 2)
x, values = torch.randn(4, 3), torch.randn(4, 2, 5)
gate = to_gate(x) * 0.5
gate.unsqueeze_(-1)
gate = gate.tanh()
mixed = (gate * values).sum(1)
mixed.norm().backward()

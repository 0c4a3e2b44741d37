# title: gate reshaped with unsqueeze_ after tanh saved it
# kind: saved-tensor-modified
# raises: RuntimeError
# culprit: 16
# victim: 15
# names: gate
# fix: gate = gate.unsqueeze(-1)
# source: own reduction of https://github.com/pytorch/pytorch/issues/37441
import torch
from torch import nn

torch.manual_seed(117)
to_gate = nn.Linear(3, 2)
x, values = torch.randn(4, 3), torch.randn(4, 2, 5)
gate = to_gate(x).tanh()
gate.unsqueeze_(-1)
mixed = (gate * values).sum(1)
mixed.norm().backward()

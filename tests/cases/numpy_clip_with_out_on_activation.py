# title: np.clip with out= writes into the memory of an activation
# kind: silent-corruption
# raises: none
# culprit: 18
# victim: 15, 16
# names: prob, arr
# fix: np.clip(arr, 0.2, 0.8) without out=
# source: own reduction of https://github.com/pytorch/pytorch/issues/97586
import numpy as np
import torch
from torch import nn

torch.manual_seed(210)
model = nn.Linear(3, 2)
prob = model(torch.randn(4, 3)).softmax(-1)
loss = prob.pow(2).sum()
arr = prob.detach().numpy()
np.clip(arr, 0.45, 0.55, out=arr)
loss.backward()
print(model.weight.grad, arr.mean())

# title: np.clip with out= writes into the memory of an activation after backward
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/issues/97586
import numpy as np
import torch
from torch import nn

torch.manual_seed(210)
model = nn.Linear(3, 2)
prob = model(torch.randn(4, 3)).softmax(-1)
loss = prob.pow(2).sum()
loss.backward()
arr = prob.detach().numpy()
np.clip(arr, 0.45, 0.55, out=arr)
print(model.weight.grad, arr.mean())

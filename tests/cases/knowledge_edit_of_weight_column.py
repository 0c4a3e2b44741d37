# title: knowledge edit subtracts from a column of a weight
# kind: view-of-leaf-inplace
# raises: RuntimeError
# culprit: 18
# victim: none
# names: dense, dense.weight, model
# fix: edit under torch.no_grad()
# source: https://github.com/Hunter-DDM/knowledge-neurons/issues/14
import torch
from torch import nn

torch.manual_seed(801)
model = nn.ModuleList([nn.Linear(3, 4) for _ in range(2)])
old, new = torch.randn(4), torch.randn(4)
neurons = [(0, 2), (1, 0)]
for layer, pos in neurons:
    dense = model[layer]
    dense.weight[:, pos] -= 0.5 * old
    dense.weight[:, pos] += 0.5 * new
print(model[0].weight.shape)

# title: knowledge edit of a weight column under no_grad before the forward pass
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: https://github.com/Hunter-DDM/knowledge-neurons/issues/14
import torch
from torch import nn

torch.manual_seed(801)
model = nn.ModuleList([nn.Linear(3, 4) for _ in range(2)])
old, new = torch.randn(4), torch.randn(4)
neurons = [(0, 2), (1, 0)]
with torch.no_grad():
    for layer, pos in neurons:
        dense = model[layer]
        dense.weight[:, pos] -= 0.5 * old
        dense.weight[:, pos] += 0.5 * new
model[0](torch.randn(2, 3)).sum().backward()

# title: the very next line clears the array whose tensor was just multiplied with
# kind: silent-corruption
# raises: none
# culprit: 15
# victim: 14
# names: mask, scores, buffer
# fix: torch.tensor(buffer) or torch.from_numpy(buffer.copy())
# source: own reduction of https://github.com/pytorch/pytorch/pull/6597
import numpy as np
import torch

buffer = np.array([1.0, 0.0, 1.0], dtype=np.float32)
scores = torch.ones(3, requires_grad=True)
kept = scores * torch.from_numpy(buffer)
buffer.fill(0)
kept.sum().backward()
print(scores.grad)

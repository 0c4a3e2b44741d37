# title: the very next line clears the array that was copied into a tensor
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/pull/6597
import numpy as np
import torch

buffer = np.array([1.0, 0.0, 1.0], dtype=np.float32)
scores = torch.ones(3, requires_grad=True)
kept = scores * torch.from_numpy(buffer.copy())
buffer.fill(0)
kept.sum().backward()
print(scores.grad)

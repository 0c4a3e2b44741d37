# title: masked_fill out of place on an expanded label row
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: https://github.com/pytorch/pytorch/issues/39639
import torch

rows = torch.tensor([[0], [1]])
labels = rows.expand(2, 4)
ignore = torch.tensor([
    [False, True, False, False],
    [False, False, False, False],
])
labels = labels.masked_fill(ignore, -100)
labels[0, 0] = 7
print(labels)

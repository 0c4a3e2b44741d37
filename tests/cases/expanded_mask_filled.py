# title: masked_fill_ on an expanded label row fills the whole row
# kind: overlapping-write
# raises: none
# culprit: 17
# victim: none
# names: labels
# fix: labels = rows.expand(2, 4).clone()
# source: https://github.com/pytorch/pytorch/issues/39639
import torch

rows = torch.tensor([[0], [1]])
labels = rows.expand(2, 4)
ignore = torch.tensor([
    [False, True, False, False],
    [False, False, False, False],
])
labels[ignore] = -100
print(labels)

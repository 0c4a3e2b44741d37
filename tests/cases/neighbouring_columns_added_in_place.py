# title: columns of a 3-D tensor accumulated into their neighbours in place, silently wrong
# kind: overlapping-write
# raises: none
# culprit: 13
# victim: none
# names: b
# fix: b[:, 1:] += b[:, :-1].clone()
# source: own reduction of https://github.com/pytorch/pytorch/issues/135487
import torch

torch.manual_seed(1001)
b = torch.ones(2, 4, 3)
b[:, 1:] += b[:, :-1]
print(b[0, :, 0])

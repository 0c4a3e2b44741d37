# title: even columns accumulated into odd ones in place
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/issues/135487
import torch

torch.manual_seed(1001)
b = torch.ones(2, 4, 3)
b[:, 1::2] += b[:, 0::2]
b[:, 2:] += b[:, :2]
print(b[0, :, 0])

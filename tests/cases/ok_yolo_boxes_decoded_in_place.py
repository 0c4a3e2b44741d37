# title: box predictions decoded into slices of a fresh tensor
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/issues/9391
import torch
from torch import nn

torch.manual_seed(118)
head = nn.Conv2d(3, 5, 1)
grid = torch.stack(torch.meshgrid(torch.arange(2.0), torch.arange(2.0), indexing="ij"), -1)
anchor = torch.tensor([1.5, 2.0])

pred = head(torch.randn(1, 3, 2, 2)).permute(0, 2, 3, 1)
s = pred.sigmoid()
p = torch.empty_like(s)
p[..., 0:2] = s[..., 0:2] * 2 - 0.5 + grid
p[..., 2:4] = (s[..., 2:4] * 2) ** 2 * anchor
p[..., 4] = s[..., 4]
loss = (p[..., :4] - 1).abs().mean() + p[..., 4].mean()
loss.backward()

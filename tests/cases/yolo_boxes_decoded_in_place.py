# title: box predictions decoded by assigning slices of the sigmoid output
# kind: saved-tensor-modified
# raises: RuntimeError
# culprit: 19, 20
# victim: 18
# names: p
# fix: decode into a new tensor with torch.cat
# source: own reduction of https://github.com/pytorch/pytorch/issues/9391
import torch
from torch import nn

torch.manual_seed(118)
head = nn.Conv2d(3, 5, 1)
grid = torch.stack(torch.meshgrid(torch.arange(2.0), torch.arange(2.0), indexing="ij"), -1)
anchor = torch.tensor([1.5, 2.0])

pred = head(torch.randn(1, 3, 2, 2)).permute(0, 2, 3, 1)
p = pred.sigmoid()
p[..., 0:2] = p[..., 0:2] * 2 - 0.5 + grid
p[..., 2:4] = (p[..., 2:4] * 2) ** 2 * anchor
obj = p[..., 4]
loss = (p[..., :4] - 1).abs().mean() + obj.mean()
loss.backward()

# title: rows unbound under no_grad and mixed in place with a learnable patch
# kind: multi-output-view-inplace
# raises: RuntimeError
# culprit: 22
# victim: none
# names: img, row, imgs, x
# fix: build the mixed images with torch.where and stack
# source: own reduction of https://github.com/ccarliu/m3ae/issues/15
import torch
from torch import nn

class Masker(nn.Module):
    def __init__(self):
        super().__init__()
        self.limage = nn.Parameter(torch.zeros(4, 4))

    def forward(self, batch):
        with torch.no_grad():
            imgs = batch.unbind(0)
        for img in imgs:
            mask = (torch.rand(4, 4) > 0.5).float()
            img.mul_(mask).add_(self.limage * (1 - mask))
        return batch

torch.manual_seed(904)
out = Masker()(torch.rand(2, 4, 4))
out.sum().backward()

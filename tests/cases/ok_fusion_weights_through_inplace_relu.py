# title: scaled fusion weights passed into nn.ReLU(inplace=True)
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: https://github.com/zylo117/Yet-Another-EfficientDet-Pytorch/issues/503
import torch
from torch import nn

class Fuse(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(2))
        self.act = nn.ReLU(inplace=True)

    def forward(self, a, b):
        w = self.act(self.w.clone())
        w = w / (w.sum() + 1e-4)
        return w[0] * a + w[1] * b

fuse = Fuse()
out = fuse(torch.ones(2, 2), torch.zeros(2, 2))
out.sum().backward()

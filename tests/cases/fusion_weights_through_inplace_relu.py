# title: fusion weights passed straight into nn.ReLU(inplace=True)
# kind: leaf-inplace
# raises: RuntimeError
# culprit: 19
# victim: none
# names: self.w, w, fuse, fuse.w
# fix: torch.relu(self.w)
# source: https://github.com/zylo117/Yet-Another-EfficientDet-Pytorch/issues/503
import torch
from torch import nn

class Fuse(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(2))
        self.act = nn.ReLU(inplace=True)

    def forward(self, a, b):
        w = self.act(self.w)
        w = w / (w.sum() + 1e-4)
        return w[0] * a + w[1] * b

fuse = Fuse()
out = fuse(torch.ones(2, 2), torch.zeros(2, 2))
out.sum().backward()

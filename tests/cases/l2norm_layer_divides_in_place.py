# title: L2Norm layer divides its input in place by the norm computed from it
# kind: saved-tensor-modified
# raises: RuntimeError
# culprit: 20
# victim: 19
# names: x
# fix: x = x / norm
# source: https://github.com/lzx1413/PytorchSSD/issues/72
import torch
from torch import nn

class L2Norm(nn.Module):
    def __init__(self, channels, scale=20.0):
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), scale))
        self.eps = 1e-10

    def forward(self, x):
        norm = x.pow(2).sum(dim=1, keepdim=True).sqrt() + self.eps
        x /= norm
        return self.weight.view(1, -1, 1, 1) * x

torch.manual_seed(109)
net = nn.Sequential(nn.Conv2d(1, 3, 3), L2Norm(3))
feat = net(torch.randn(2, 1, 6, 6))
feat.sum().backward()

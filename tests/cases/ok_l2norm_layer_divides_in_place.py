# title: layer divides its input in place by a norm taken from the detached input
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: https://github.com/lzx1413/PytorchSSD/issues/72
import torch
from torch import nn

class Rescale(nn.Module):
    def __init__(self, channels, scale=20.0):
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), scale))
        self.eps = 1e-10

    def forward(self, x):
        norm = x.detach().pow(2).sum(dim=1, keepdim=True).sqrt() + self.eps
        x /= norm
        return self.weight.view(1, -1, 1, 1) * x

torch.manual_seed(109)
net = nn.Sequential(nn.Conv2d(1, 3, 3), Rescale(3))
feat = net(torch.randn(2, 1, 6, 6))
feat.sum().backward()

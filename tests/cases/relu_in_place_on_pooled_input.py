# title: in-place ReLU on the map that max pooling has just read
# kind: saved-tensor-modified
# raises: RuntimeError
# culprit: 22
# victim: 21
# names: x, y
# fix: pool after the activation, or nn.ReLU(inplace=False)
# source: own reduction of https://github.com/j-sripad/mulitresunet-pytorch/issues/3
import torch
import torch.nn.functional as F
from torch import nn

class Down(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, img):
        x = self.conv(img)
        small = F.max_pool2d(x, 2)
        skip = self.act(x)
        return small, skip

torch.manual_seed(110)
small, skip = Down()(torch.randn(1, 1, 4, 4))
(small.sum() + skip.mean()).backward()

# title: in-place ReLU on the output of max pooling
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
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
        small = self.act(small)
        return small, x

torch.manual_seed(110)
small, skip = Down()(torch.randn(1, 1, 4, 4))
(small.mean() + skip.mean()).backward()

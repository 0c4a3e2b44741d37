# title: nn.Dropout(inplace=True) after GELU
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: https://github.com/pytorch/vision/issues/7174
import torch
from torch import nn

class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, width), nn.Linear(width, 1)
        self.drop = nn.Dropout(0.5, inplace=True)

    def forward(self, x):
        h = nn.functional.gelu(self.fc1(x))
        h = self.drop(h)
        return self.fc2(h)

torch.manual_seed(116)
mlp = Mlp(4)
mlp(torch.randn(3, 4)).mean().backward()

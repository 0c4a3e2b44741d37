# title: rotary cache filled by a first call under no_grad is used in training
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/unslothai/unsloth/issues/2434
import torch
from torch import nn

class Rope(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.proj, self.dim, self.cos = nn.Linear(dim, dim), dim, None

    def forward(self, x):
        if self.cos is None:
            pos = torch.arange(x.shape[1]).float()[:, None]
            self.cos = torch.cos(pos / torch.arange(1, self.dim + 1))
        return self.proj(x) * self.cos

torch.manual_seed(1103)
rope = Rope(4)
with torch.no_grad():
    preview = rope(torch.randn(1, 3, 4))
with torch.inference_mode():
    preview = rope(torch.randn(1, 3, 4))
rope(torch.randn(2, 3, 4)).mean().backward()

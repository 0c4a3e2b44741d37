# title: rotary cache filled by a first call under inference_mode is used in training
# kind: inference-tensor
# raises: RuntimeError
# culprit: 20
# victim: 21
# names: self.cos, cos, rope, rope.cos
# fix: fill the cache in __init__, or run the warm-up under no_grad
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
with torch.inference_mode():
    preview = rope(torch.randn(1, 3, 4))
rope(torch.randn(2, 3, 4)).mean().backward()

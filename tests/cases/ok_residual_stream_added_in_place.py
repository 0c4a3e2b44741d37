# title: shortcut added with += to the output of the last linear layer
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: https://github.com/karpathy/nanoGPT/pull/72
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.ln = nn.LayerNorm(d)
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))

    def forward(self, x):
        y = self.mlp(self.ln(x))
        y += x
        return y

torch.manual_seed(119)
embed = nn.Embedding(7, 4)
blocks = nn.ModuleList(Block(4) for _ in range(2))
x = embed(torch.tensor([[1, 2, 3]]))
for block in blocks:
    x = block(x)
x.mean().backward()

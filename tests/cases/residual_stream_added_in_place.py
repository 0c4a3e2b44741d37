# title: residual stream of a transformer block updated with += after LayerNorm read it
# kind: saved-tensor-modified
# raises: RuntimeError
# culprit: 19
# victim: 19
# names: x
# fix: x = x + self.mlp(self.ln(x))
# source: https://github.com/karpathy/nanoGPT/pull/72
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.ln = nn.LayerNorm(d)
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))

    def forward(self, x):
        x += self.mlp(self.ln(x))
        return x

torch.manual_seed(119)
embed = nn.Embedding(7, 4)
blocks = nn.ModuleList(Block(4) for _ in range(2))
x = embed(torch.tensor([[1, 2, 3]]))
for block in blocks:
    x = block(x)
x.mean().backward()

# title: attention scores masked in place through a view before softmax
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/Skype-line/X-Avatar/issues/12
import torch
from torch import nn

class Attend(nn.Module):
    def __init__(self, dim=4, heads=2):
        super().__init__()
        self.heads, self.qkv = heads, nn.Linear(dim, 3 * dim)

    def forward(self, x, pad):
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2)
        scores *= (d // self.heads) ** -0.5
        scores.transpose(0, 1).masked_fill_(pad[None, :, None, :], float("-inf"))
        attn = scores.softmax(-1)
        return (attn @ v).transpose(1, 2).reshape(b, n, d)

torch.manual_seed(114)
pad = torch.tensor([[False, False, True], [False, False, False]])
out = Attend()(torch.randn(2, 3, 4), pad)
out.sum().backward()

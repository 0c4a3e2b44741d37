# title: attention weights masked in place through a per-head view after softmax
# kind: saved-tensor-modified
# raises: RuntimeError
# culprit: 22
# victim: 20
# names: attn, per_head
# fix: mask the scores with -inf before softmax
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
        attn = (q @ k.transpose(-1, -2) / (d // self.heads) ** 0.5).softmax(-1)
        per_head = attn.transpose(0, 1)
        per_head.masked_fill_(pad[None, :, None, :], 0.0)
        return (attn @ v).transpose(1, 2).reshape(b, n, d)

torch.manual_seed(114)
pad = torch.tensor([[False, False, True], [False, False, False]])
out = Attend()(torch.randn(2, 3, 4), pad)
out.sum().backward()

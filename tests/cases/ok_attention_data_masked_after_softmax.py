# title: attention scores masked through .data before softmax
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: https://github.com/jadore801120/attention-is-all-you-need-pytorch/issues/16
import torch

def attention(q, k, v, mask):
    scores = torch.bmm(q, k.transpose(1, 2))
    scores.data.masked_fill_(mask, float("-inf"))
    attn = torch.softmax(
        scores,
        dim=2,
    )
    return torch.bmm(attn, v)

torch.manual_seed(207)
q, k, v = (torch.randn(1, 3, 4, requires_grad=True) for _ in range(3))
mask = torch.ones(1, 3, 3).triu(1).bool()
attention(q, k, v, mask).pow(2).sum().backward()
print(q.grad.norm(), k.grad.norm())

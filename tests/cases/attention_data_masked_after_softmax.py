# title: attention weights masked through .data after softmax
# kind: silent-corruption
# raises: none
# culprit: 16
# victim: 12
# names: attn
# fix: scores.masked_fill(mask, -inf) before softmax
# source: https://github.com/jadore801120/attention-is-all-you-need-pytorch/issues/16
import torch

def attention(q, k, v, mask):
    attn = torch.softmax(
        torch.bmm(q, k.transpose(1, 2)),
        dim=2,
    )
    attn.data.masked_fill_(mask, 0.0)
    return torch.bmm(attn, v)

torch.manual_seed(207)
q, k, v = (torch.randn(1, 3, 4, requires_grad=True) for _ in range(3))
mask = torch.ones(1, 3, 3).triu(1).bool()
attention(q, k, v, mask).pow(2).sum().backward()
print(q.grad.norm(), k.grad.norm())

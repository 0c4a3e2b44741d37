# title: embedding row taken under no_grad and scaled outside the block
# kind: view-of-leaf-inplace
# raises: RuntimeError
# culprit: 18
# victim: none
# names: row, emb, emb.weight
# fix: move the write into the no_grad block
# source: own reduction of https://github.com/pytorch/pytorch/pull/32839
import torch
from torch import nn

torch.manual_seed(803)
emb = nn.Embedding(5, 3)
with torch.no_grad():
    row = emb.weight[4]
    longest = row.norm()
if longest > 0.1:
    row.mul_(0.1 / longest)
loss = emb(torch.tensor([4, 0])).sum()
loss.backward()

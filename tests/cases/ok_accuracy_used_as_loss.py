# title: error rate built with a comparison is only printed
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/sicara/easy-few-shot-learning/issues/40
import torch
from torch import nn

torch.manual_seed(306)
clf = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
opt = torch.optim.SGD(clf.parameters(), lr=0.5)
x = torch.randn(8, 2)
y = (x[:, :1] > 0).float()
for _ in range(2):
    prob = clf(x)
    hits = (prob > 0.5).float() == y
    error = 1 - hits.float().mean()
    opt.zero_grad()
    nn.functional.binary_cross_entropy(prob, y).backward()
    opt.step()
print(error <= 1)

# title: error rate built with a comparison is used as the loss
# kind: graph-detached
# raises: RuntimeError
# culprit: 18
# victim: 17
# names: prob, correct, hits, clf
# fix: train on binary_cross_entropy and report the accuracy
# source: own reduction of https://github.com/sicara/easy-few-shot-learning/issues/40
import torch
from torch import nn

torch.manual_seed(306)
clf = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
opt = torch.optim.SGD(clf.parameters(), lr=0.5)
x = torch.randn(8, 2)
y = (x[:, :1] > 0).float()
prob = clf(x)
hits = (prob > 0.5).float() == y
loss = 1 - hits.float().mean()
opt.zero_grad()
loss.backward()
opt.step()

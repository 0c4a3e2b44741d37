# title: batch norm runs in train mode first and in eval mode last before backward
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: https://github.com/pytorch/pytorch/issues/13402
import torch
from torch import nn

torch.manual_seed(201)
net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=0.9))
unlabelled, labelled = torch.randn(6, 3), 5 * torch.randn(6, 3) + 2

def consistency(net):
    net.train(); feats = net(labelled); feats = net(unlabelled)
    net.eval(); teacher_view = net(unlabelled)
    return teacher_view.pow(2).mean() + feats.abs().mean()

loss = consistency(net)
loss.backward()
print(net[0].weight.grad.sum())

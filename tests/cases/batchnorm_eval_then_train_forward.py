# title: batch norm runs in train mode between an eval-mode forward and its backward
# kind: silent-corruption
# raises: none
# culprit: 18
# victim: 17
# names: bn, net, running_mean, running_var, bn.running_mean, bn.running_var
# fix: call backward for the eval-mode pass first, or use a copy of the layer
# source: https://github.com/pytorch/pytorch/issues/13402
import torch
from torch import nn

torch.manual_seed(201)
net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=0.9))
unlabelled, labelled = torch.randn(6, 3), 5 * torch.randn(6, 3) + 2

def consistency(net):
    net.eval(); teacher_view = net(unlabelled)
    net.train(); feats = net(labelled)
    return teacher_view.pow(2).mean()

loss = consistency(net)
loss.backward()
print(net[0].weight.grad.sum())

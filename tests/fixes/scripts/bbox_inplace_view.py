# kind: saved-tensor-modified
# new: boxes = deltas.sigmoid().clone()
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


def decode(deltas, anchors):
    boxes = deltas.sigmoid()
    boxes[:, :2] -= boxes[:, 2:] / 2
    boxes[:, 2:] += boxes[:, :2]
    return boxes * anchors


head = nn.Linear(6, 4)
opt = torch.optim.SGD(head.parameters(), lr=0.1)
for _ in range(2):
    feats = torch.randn(5, 6)
    pred = decode(head(feats), torch.ones(5, 4))
    loss = F.smooth_l1_loss(pred, torch.rand(5, 4))
    opt.zero_grad()
    loss.backward()
    opt.step()

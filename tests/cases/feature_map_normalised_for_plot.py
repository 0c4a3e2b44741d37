# title: detached feature map normalised in place for a picture before backward
# kind: saved-tensor-modified
# raises: RuntimeError
# culprit: 14, 15
# victim: 20
# names: feat, vis
# fix: vis = feat.detach().clone()
# source: own reduction of https://github.com/pytorch/pytorch/issues/7860
import torch
from torch import nn

def to_picture(feat):
    vis = feat.detach()[0, 0]
    vis -= vis.min()
    vis /= vis.max() + 1e-6
    return (255 * vis).byte()

def training_step(net, head, img):
    feat = net(img)
    logits = head(feat.flatten(1))
    picture = to_picture(feat)
    return logits.logsumexp(1).mean(), picture

torch.manual_seed(122)
net, head = nn.Conv2d(1, 2, 3), nn.Linear(8, 3)
loss, picture = training_step(net, head, torch.randn(2, 1, 4, 4))
loss.backward()

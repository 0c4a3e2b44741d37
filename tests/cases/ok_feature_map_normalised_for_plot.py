# title: detached feature map normalised out of place for a picture before backward
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/issues/7860
import torch
from torch import nn

def to_picture(feat):
    vis = feat.detach()[0, 0]
    vis = vis - vis.min()
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

# title: box corners of ground truth without gradient taken with unbind and shifted in place
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/facebookresearch/detectron2/pull/2716
import torch
from torch import nn

def area(boxes):
    x1, y1, x2, y2 = boxes.unbind(-1)
    x2 += 1
    y2 += 1
    return (x2 - x1) * (y2 - y1)

torch.manual_seed(903)
regress = nn.Linear(4, 1)
boxes = torch.rand(3, 4).cumsum(-1)
target = area(boxes.clone())
loss = (regress(boxes).squeeze(-1) - target).pow(2).mean()
loss.backward()

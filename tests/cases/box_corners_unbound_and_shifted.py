# title: box corners taken with unbind and shifted in place
# kind: multi-output-view-inplace
# raises: RuntimeError
# culprit: 14
# victim: none
# names: x2, y2
# fix: x2 = x2 + 1
# source: own reduction of https://github.com/facebookresearch/detectron2/pull/2716
import torch
from torch import nn

def area(boxes):
    x1, y1, x2, y2 = boxes.unbind(-1)
    x2 += 1
    y2 += 1
    return (x2 - x1) * (y2 - y1)

torch.manual_seed(903)
regress = nn.Linear(4, 4)
boxes = regress(torch.rand(3, 4)).cumsum(-1)
loss = area(boxes).mean()
loss.backward()

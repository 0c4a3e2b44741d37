# title: slice of a linear output scaled in place by a helper of the flow
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: https://github.com/bayesiains/nflows/issues/89
import math
import torch
from torch import nn

BINS = 3

def rescale(raw, hidden):
    raw /= math.sqrt(hidden)
    return raw

def spline_params(net, x):
    params = net(x)
    widths, heights = params[..., :BINS], params[..., BINS:]
    return torch.softmax(rescale(widths, 6), -1), torch.softmax(rescale(heights, 6), -1)

torch.manual_seed(120)
net = nn.Linear(2, 2 * BINS)
w, h = spline_params(net, torch.randn(4, 2))
loss = (w - h).square().sum()
loss.backward()

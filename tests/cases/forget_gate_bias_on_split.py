# title: forget bias added in place to one gate of a split
# kind: multi-output-view-inplace
# raises: RuntimeError
# culprit: 14
# victim: none
# names: f
# fix: f = f + 1.0
# source: own reduction of https://github.com/pytorch/pytorch/issues/36403
import torch

def lstm_step(x, h, c, w):
    gates = torch.cat([x, h], dim=1) @ w
    i, f, g, o = gates.split(h.shape[1], dim=1)
    i = i.sigmoid(); f += 1.0; f = f.sigmoid()
    c = f * c + i * g.tanh()
    return o.sigmoid() * c.tanh(), c

torch.manual_seed(902)
w = torch.randn(5, 12, requires_grad=True)
h = c = torch.zeros(4, 3)
for x in torch.randn(2, 4, 2):
    h, c = lstm_step(x, h, c, w)
h.sum().backward()

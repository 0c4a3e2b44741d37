# title: forget bias added in place to the columns of all gates before the split
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/issues/36403
import torch

def lstm_step(x, h, c, w):
    gates = torch.cat([x, h], dim=1) @ w
    n = h.shape[1]
    gates[:, n:2 * n] += 1.0
    i, f, g, o = gates.split(n, dim=1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c

torch.manual_seed(902)
w = torch.randn(5, 12, requires_grad=True)
h = c = torch.zeros(4, 3)
for x in torch.randn(2, 4, 2):
    h, c = lstm_step(x, h, c, w)
h.sum().backward()

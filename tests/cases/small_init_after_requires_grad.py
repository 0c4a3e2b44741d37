# title: weights scaled at initialisation after requires_grad, then updated by hand
# kind: rebound-leaf
# raises: TypeError
# culprit: 15
# victim: none
# names: w1
# fix: w1 = (torch.randn(4, 3) * 0.1).requires_grad_()
# source: own reduction of https://github.com/pytorch/pytorch/issues/140469
import warnings
import torch

warnings.simplefilter("ignore")
torch.manual_seed(403)
w1 = torch.randn(4, 3, requires_grad=True)
w1 = w1 * 0.1
b1 = torch.zeros(3, requires_grad=True)
x, y = torch.randn(8, 4), torch.randn(8, 3)
loss = ((x @ w1 + b1).tanh() - y).pow(2).mean()
loss.backward()
with torch.no_grad():
    for t in (b1, w1):
        t -= 0.1 * t.grad

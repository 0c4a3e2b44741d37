# title: weights scaled at initialisation and then made to require grad
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/issues/140469
import torch

torch.manual_seed(403)
w1 = torch.randn(4, 3)
w1 = w1 * 0.1
w1.requires_grad_()
b1 = torch.zeros(3, requires_grad=True)
x, y = torch.randn(8, 4), torch.randn(8, 3)
for _ in range(2):
    loss = ((x @ w1 + b1).tanh() - y).pow(2).mean()
    loss.backward()
    with torch.no_grad():
        for t in (b1, w1):
            t -= 0.1 * t.grad
            t.grad = None

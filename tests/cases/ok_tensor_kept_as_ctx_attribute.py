# title: shape and mask kept as ctx attributes while the input is rescaled
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/issues/5569
import torch

class PositiveSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mask = x > 0
        return x[ctx.mask].sum()

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.mask

torch.manual_seed(602)
w = torch.randn(4, requires_grad=True)
h = w * 3
energy = PositiveSum.apply(h)
h /= 2
loss = energy + h.sum()
loss.backward()
print(w.grad)

# title: input kept as ctx.x is rescaled by the caller before backward
# kind: custom-function
# raises: none
# culprit: 25
# victim: 24
# names: h, x
# fix: ctx.save_for_backward(x), and h = h / 2
# source: own reduction of https://github.com/pytorch/pytorch/issues/5569
import torch

class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.x = x
        return x * x

    @staticmethod
    def backward(ctx, grad):
        return 2 * ctx.x * grad

torch.manual_seed(602)
w = torch.randn(4, requires_grad=True)
h = w * 3
energy = Square.apply(h).sum()
h /= 2
loss = energy + h.sum()
loss.backward()
print(w.grad)

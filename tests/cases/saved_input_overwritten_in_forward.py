# title: custom forward saves its input and then overwrites it
# kind: custom-function
# raises: none
# culprit: 16
# victim: 14, 28
# names: x, pre, y
# fix: y = x.sigmoid() out of place
# source: own reduction of https://github.com/linkedin/Liger-Kernel/issues/254
import torch

class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        x0 = x.clone()
        y = x.sigmoid_().mul_(x0)
        return y.clone()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        s = x.sigmoid()
        return grad * (s + x * s * (1 - s))

torch.manual_seed(605)
w = torch.randn(4, requires_grad=True)
pre = w * 2
out = Swish.apply(pre)
out.sum().backward()
print(w.grad)

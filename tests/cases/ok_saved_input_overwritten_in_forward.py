# title: custom forward saves its input and works in place on a clone
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/linkedin/Liger-Kernel/issues/254
import torch

class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        y = x.clone().sigmoid_().mul_(x)
        return y

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

# title: custom backward zeroes a clone of grad_output in place
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://pytorch.org/docs/stable/notes/extending.html
import torch

class GuidedReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        grad = grad_output.clone()
        grad[x < 0] = 0
        return grad

torch.manual_seed(603)
w = torch.randn(5, requires_grad=True)
h = w * 1.5
shortcut = h.sin()
gated = GuidedReLU.apply(h)
out = gated + shortcut
(out * torch.arange(1.0, 6.0)).sum().backward()
print(w.grad)

# title: custom backward zeroes grad_output in place and spoils the other branch
# kind: custom-function
# raises: none
# culprit: 20
# victim: none
# names: grad_output, grad, h, gated, shortcut, out
# fix: grad = grad_output.clone()
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
        grad_output[x < 0] = 0
        return grad_output

torch.manual_seed(603)
w = torch.randn(5, requires_grad=True)
h = w * 1.5
shortcut = h.sin()
gated = GuidedReLU.apply(h)
out = gated + shortcut
(out * torch.arange(1.0, 6.0)).sum().backward()
print(w.grad)

# title: custom Function adds in place without mark_dirty, so the addend gets no gradient
# kind: custom-function
# raises: none
# culprit: 14, 24
# victim: 24
# names: a, canvas, patch, b
# fix: ctx.mark_dirty(a)
# source: https://github.com/pytorch/pytorch/issues/5871
import torch

class AddAt(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        a[1:2] += b
        return a

    @staticmethod
    def backward(ctx, grad):
        return grad, grad[1:2].sum().reshape(1)

base = torch.ones(3, requires_grad=True)
patch = torch.full((1,), 4.0, requires_grad=True)
canvas = base + 1
AddAt.apply(canvas, patch)
loss = (canvas * torch.tensor([1.0, 2.0, 3.0])).sum()
loss.backward()
print(base.grad, patch.grad)

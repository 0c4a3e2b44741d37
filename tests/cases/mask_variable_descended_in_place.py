# title: gradient step on a mask variable written with -=
# kind: leaf-inplace
# raises: RuntimeError
# culprit: 16
# victim: none
# names: s
# fix: s.data, or with torch.no_grad() around the step
# source: https://github.com/BaiTheBest/SparseLLM/issues/13
import torch

def optimise_mask(weight, x, target, lr=0.1, iters=3):
    s = torch.full((weight.shape[0],), 0.5, requires_grad=True)
    for _ in range(iters):
        loss = ((x @ (weight * s).t()) - target).square().mean()
        loss.backward()
        s -= lr * s.grad; s.grad.zero_()
    return s

torch.manual_seed(703)
w = torch.randn(3, 3)
optimise_mask(w, torch.randn(4, 3), torch.randn(4, 3))

# title: gradient step on a mask variable written with -= under no_grad after backward
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: https://github.com/BaiTheBest/SparseLLM/issues/13
import torch

def optimise_mask(weight, x, target, lr=0.1, iters=3):
    s = torch.full((weight.shape[0],), 0.5, requires_grad=True)
    for _ in range(iters):
        loss = ((x @ (weight * s).t()) - target).square().mean()
        loss.backward()
        with torch.no_grad():
            s -= lr * s.grad; s.grad.zero_()
            s.clamp_(0, 1)
    return s

torch.manual_seed(703)
w = torch.randn(3, 3)
optimise_mask(w, torch.randn(4, 3), torch.randn(4, 3))

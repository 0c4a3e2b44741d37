# title: coefficients cast first and then made to require grad
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: https://github.com/vinsis/ternary-quantization/issues/4
import torch

def fit_polynomial(xs, ys, steps=3):
    coef = torch.zeros(3).to(torch.float64).requires_grad_()
    optimizer = torch.optim.LBFGS([coef], max_iter=5)
    powers = torch.stack([xs ** i for i in range(3)], dim=1)
    for _ in range(steps):
        def closure():
            optimizer.zero_grad()
            loss = (powers @ coef - ys).pow(2).mean()
            loss.backward()
            return loss
        optimizer.step(closure)
    return coef

xs = torch.linspace(-1, 1, 9, dtype=torch.float64)
print(fit_polynomial(xs, 1 + 2 * xs).shape)

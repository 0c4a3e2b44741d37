# title: coefficients made to require grad and then cast, so the optimizer gets a non-leaf
# kind: rebound-leaf
# raises: ValueError
# culprit: 12
# victim: none
# names: coef
# fix: torch.zeros(3, dtype=torch.float64, requires_grad=True)
# source: https://github.com/vinsis/ternary-quantization/issues/4
import torch

def fit_polynomial(xs, ys, steps=3):
    coef = torch.zeros(3, requires_grad=True).to(torch.float64)
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
print(fit_polynomial(xs, 1 + 2 * xs))

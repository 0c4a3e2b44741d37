# title: error metric computed in numpy beside a loss in torch
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/issues/20778
import numpy as np
import torch
from torch import nn

def mean_abs_error(pred, target):
    p, t = pred.detach().numpy(), target.numpy()
    err = np.abs(p - t)
    return float(err.mean())

def main():
    torch.manual_seed(303)
    model = nn.Linear(3, 1)
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(6, 3), torch.randn(6, 1)
    pred = model(x)
    loss = nn.functional.huber_loss(pred, y)
    loss.backward()
    opt.step()
    print(mean_abs_error(pred, y) > 0)

main()

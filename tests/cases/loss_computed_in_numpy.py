# title: loss computed in numpy and wrapped in a tensor again
# kind: graph-detached
# raises: none
# culprit: 14
# victim: 23
# names: loss, pred, model, p
# fix: compute the loss with torch functions
# source: own reduction of https://github.com/pytorch/pytorch/issues/20778
import numpy as np
import torch
from torch import nn

def huber(pred, target):
    p, t = pred.detach().numpy(), target.numpy()
    err = np.abs(p - t)
    return torch.from_numpy(np.where(err < 1, 0.5 * err ** 2, err - 0.5)).mean()

def main():
    torch.manual_seed(303)
    model = nn.Linear(3, 1)
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(6, 3), torch.randn(6, 1)
    pred = model(x)
    loss = huber(pred, y)
    loss.requires_grad = True
    loss.backward()
    opt.step()
    print(model.weight.grad)

main()

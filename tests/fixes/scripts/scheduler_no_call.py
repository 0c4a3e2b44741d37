# kind: lost-write
# new: opt.zero_grad()
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


def loop(model, data):
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in data:
        loss = F.mse_loss(model(x), y)
        loss.backward()
        opt.step()
        opt.zero_grad


loop(nn.Linear(2, 1), [(torch.randn(3, 2), torch.randn(3, 1)) for _ in range(3)])

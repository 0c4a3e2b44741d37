# kind: gradient-lost-before-step
# new: opt.zero_grad()
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


def train(model, loader, accumulate=2):
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    for i, (x, y) in enumerate(loader):
        opt.zero_grad()
        loss = F.mse_loss(model(x), y) / accumulate
        loss.backward()
        if (i + 1) % accumulate == 0:
            opt.step()


data = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(4)]
train(nn.Linear(3, 1), data)

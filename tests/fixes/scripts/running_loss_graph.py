# kind: freed-graph
# new: total = total.detach()
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


def epoch(model, loader, opt):
    total = 0.0
    for x, y in loader:
        loss = F.mse_loss(model(x), y)
        total += loss
        opt.zero_grad()
        total.backward()
        opt.step()
    return total


model = nn.Linear(3, 1)
loader = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(3)]
epoch(model, loader, torch.optim.SGD(model.parameters(), lr=0.1))

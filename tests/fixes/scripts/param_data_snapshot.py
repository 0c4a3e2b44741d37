# kind: shared-reference
# new: start = [p.data.clone() for p in model.parameters()]
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


def cosine_of_updates(model, x, y):
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    start = [p.data for p in model.parameters()]
    for _ in range(3):
        opt.zero_grad()
        F.mse_loss(model(x), y).backward()
        opt.step()
    return [(p.data - s).norm().item() for p, s in zip(model.parameters(), start)]


print(cosine_of_updates(nn.Linear(3, 1), torch.randn(8, 3), torch.randn(8, 1)))

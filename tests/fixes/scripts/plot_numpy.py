# kind: export-refused
# new: curve.append(np.mean(loss.detach().numpy()))
import torch
import torch.nn as nn
import torch.nn.functional as F
import numpy as np

torch.manual_seed(0)


def history(model, x, y):
    curve = []
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        pred = model(x)
        loss = F.mse_loss(pred, y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        curve.append(np.mean(loss.numpy()))
    return curve


print(history(nn.Linear(3, 1), torch.randn(4, 3), torch.randn(4, 1)))

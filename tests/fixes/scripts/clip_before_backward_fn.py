# kind: gradient-lost-before-step
# new: (moved) loss.backward()
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class Trainer:
    def __init__(self, model):
        self.model = model
        self.opt = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(self, x, y):
        self.opt.zero_grad()
        loss = F.mse_loss(self.model(x), y)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        loss.backward()
        self.opt.step()
        return loss.item()


t = Trainer(nn.Linear(3, 1))
for _ in range(3):
    t.step(torch.randn(4, 3), torch.randn(4, 1))

# kind: non-scalar-loss
# new: loss = loss.mean()
import torch
import torch.nn as nn

torch.manual_seed(0)


def train_step(model, opt, x, y):
    criterion = nn.CrossEntropyLoss(reduction="none")
    loss = criterion(model(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    return loss.detach().mean()


model = nn.Linear(4, 3)
train_step(model, torch.optim.SGD(model.parameters(), lr=0.1), torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1]))

# kind: lost-write
# new: for group in opt.param_groups: | group["lr"] = base * min(1.0, (step + 1) / 3)
import torch
import torch.nn as nn

torch.manual_seed(0)


def warmup(opt, step, base=0.1):
    opt.lr = base * min(1.0, (step + 1) / 3)


model = nn.Linear(3, 1)
opt = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(4):
    warmup(opt, step)
    loss = model(torch.randn(4, 3)).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()

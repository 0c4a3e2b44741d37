# kind: shared-reference
# new: self.shadow = {k: v.clone() for k, v in model.state_dict().items()}
import torch
import torch.nn as nn

torch.manual_seed(0)


class EMA:
    def __init__(self, model, decay=0.9):
        self.shadow = {k: v for k, v in model.state_dict().items()}
        self.decay = decay

    def update(self, model):
        for k, v in model.state_dict().items():
            self.shadow[k].mul_(self.decay).add_(v, alpha=1 - self.decay)


model = nn.Linear(3, 1)
ema = EMA(model)
opt = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    loss = model(torch.randn(4, 3)).pow(2).mean()
    ema.update(model)
    opt.zero_grad()
    loss.backward()
    opt.step()

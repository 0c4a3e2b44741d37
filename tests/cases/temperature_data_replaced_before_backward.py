# title: temperature parameter gets new .data from a schedule before backward
# kind: silent-corruption
# raises: none
# culprit: 22
# victim: 19
# names: model, self.log_t, log_t, model.log_t
# fix: assign the new temperature after backward, under torch.no_grad()
# source: own reduction of https://github.com/pytorch/pytorch/issues/33629
import torch
from torch import nn

class Calibrated(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.log_t = nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        return self.fc(x) * self.log_t

    def anneal(self, epoch):
        self.log_t.data = torch.tensor(float(2 - epoch))

torch.manual_seed(206)
model = Calibrated()
logits = model(torch.randn(5, 4))
model.anneal(epoch=5)
loss = nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0, 1]))
loss.backward()
print(model.fc.weight.grad.norm())

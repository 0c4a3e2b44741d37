# title: temperature parameter gets new .data from a schedule at the end of the epoch
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
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
for epoch in range(2):
    logits = model(torch.randn(5, 4))
    loss = nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0, 1]))
    loss.backward()
    model.anneal(epoch=epoch)
print(model.fc.weight.grad.norm())

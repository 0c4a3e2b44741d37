# title: head replaced and its parameters added to the optimizer
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: https://github.com/microsoft/nni/issues/4521
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(torch.relu(self.body(x)))

torch.manual_seed(404)
model = Model()
opt = torch.optim.SGD(model.body.parameters(), lr=0.5)
model.head = nn.Linear(4, 5)
opt.add_param_group({"params": model.head.parameters()})
before = model.head.weight.detach().clone()
for _ in range(2):
    opt.zero_grad()
    nn.functional.cross_entropy(model(torch.randn(6, 3)), torch.arange(6) % 5).backward()
    opt.step()
print("head trained:", not torch.equal(before, model.head.weight))

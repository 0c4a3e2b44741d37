# title: loss re-wrapped as torch.tensor(loss, requires_grad=True)
# kind: graph-detached
# raises: none
# culprit: 21
# victim: 21
# names: loss, model, out
# fix: use the loss as it is
# source: own reduction of https://github.com/pytorch/ignite/pull/1675
import warnings
import torch
from torch import nn

warnings.simplefilter("ignore")
torch.manual_seed(304)
model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(5, 3), torch.tensor([0, 1, 0, 1, 1])
for _ in range(2):
    optimizer.zero_grad()
    loss = torch.tensor(criterion(model(x), y), requires_grad=True)
    loss.backward()
    optimizer.step()
print([p.grad is None for p in model.parameters()])

# title: loss copied with torch.tensor only for a moving average of the log
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
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
smooth = torch.tensor(0.0)
for _ in range(2):
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
    smooth += 0.1 * (torch.tensor(loss) - smooth)
print([p.grad is None for p in model.parameters()], smooth > 0)

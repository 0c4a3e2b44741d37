# title: both task losses go backward through the shared trunk before one step
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/MrSyee/pg-is-all-you-need/issues/30
import torch
from torch import nn

def train_step(trunk, heads, x, targets, optimizer):
    h = trunk(x)
    losses = {
        name: nn.functional.mse_loss(
            head(h), targets[name]
        )
        for name, head in heads.items()
    }
    optimizer.zero_grad()
    for loss in losses.values():
        loss.backward(retain_graph=True)
    optimizer.step()

torch.manual_seed(106)
trunk = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5))
heads = nn.ModuleDict({"depth": nn.Linear(5, 1), "mask": nn.Linear(5, 2)})
params = [*trunk.parameters(), *heads["depth"].parameters(), *heads["mask"].parameters()]
optimizer = torch.optim.AdamW(params, lr=1e-2)
for _ in range(2):
    train_step(trunk, heads, torch.randn(3, 4),
               {"depth": torch.randn(3, 1), "mask": torch.randn(3, 2)}, optimizer)

# title: second task loss goes backward after the shared trunk was stepped for the first
# kind: saved-tensor-modified
# raises: RuntimeError
# culprit: 23
# victim: 13
# names: trunk, heads, params
# fix: add the losses and step once
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
    for loss in losses.values():
        optimizer.zero_grad()
        loss.backward(retain_graph=True)
        optimizer.step()

torch.manual_seed(106)
trunk = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5))
heads = nn.ModuleDict({"depth": nn.Linear(5, 1), "mask": nn.Linear(5, 2)})
params = [*trunk.parameters(), *heads["depth"].parameters(), *heads["mask"].parameters()]
optimizer = torch.optim.AdamW(params, lr=1e-2)
train_step(trunk, heads, torch.randn(3, 4),
           {"depth": torch.randn(3, 1), "mask": torch.randn(3, 2)}, optimizer)

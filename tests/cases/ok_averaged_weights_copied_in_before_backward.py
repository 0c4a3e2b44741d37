# title: averaged weights are copied into the parameters through .data after backward
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/issues/6990
import torch
from torch import nn

class Average:
    def __init__(self, model):
        self.shadow = {k: 0.5 * p.detach().clone() for k, p in model.named_parameters()}

    def apply(self, model):
        for name, p in model.named_parameters():
            p.data.copy_(self.shadow[name])

torch.manual_seed(202)
model = nn.Sequential(nn.Linear(3, 5), nn.Softplus(), nn.Linear(5, 1))
average = Average(model)
x, y = torch.randn(4, 3), torch.randn(4, 1)
train_loss = (model(x) - y).square().mean()
train_loss.backward()
average.apply(model)
with torch.no_grad():
    val_loss = (model(x) - y).square().mean()
print(model[0].weight.grad.norm(), val_loss)

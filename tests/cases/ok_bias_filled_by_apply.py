# title: bias filled with nn.init and under no_grad by functions given to Module.apply
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://discuss.pytorch.org/t/leaf-variable-was-used-in-an-inplace-operation/308/2
import torch
from torch import nn

def init_weights(m):
    if isinstance(m, nn.Linear):
        nn.init.xavier_uniform_(m.weight)
        with torch.no_grad():
            m.bias.fill_(0.01)

model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
model.apply(init_weights)
model(torch.ones(1, 3)).sum().backward()

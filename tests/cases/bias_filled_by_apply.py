# title: bias filled by a function given to Module.apply
# kind: leaf-inplace
# raises: RuntimeError
# culprit: 15
# victim: none
# names: m, m.bias, module, model
# fix: nn.init.constant_(m.bias, 0.01)
# source: own reduction of https://discuss.pytorch.org/t/leaf-variable-was-used-in-an-inplace-operation/308/2
import torch
from torch import nn

def init_weights(m):
    if isinstance(m, nn.Linear):
        nn.init.xavier_uniform_(m.weight)
        m.bias.fill_(0.01)

model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
model.apply(init_weights)

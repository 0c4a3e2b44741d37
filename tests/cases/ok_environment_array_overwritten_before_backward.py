# title: environment writes the next observation in place while tensors hold copies
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/pull/6597
import numpy as np
import torch
from torch import nn

class Env:
    def __init__(self):
        self.rng = np.random.default_rng(203)
        self.obs = np.ones(3, dtype=np.float32)

    def step(self, action):
        self.obs += self.rng.normal(size=3).astype(np.float32)
        return self.obs, 1.0 - float(abs(action))

torch.manual_seed(203)
env, net = Env(), nn.Linear(3, 1)
obs, losses = env.obs, []
for t in range(3):
    value = net(torch.tensor(obs))
    obs, reward = env.step(value.item())
    losses.append((value - reward).pow(2))
torch.cat(losses).mean().backward()
print(net.weight.grad)

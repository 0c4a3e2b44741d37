# kind: shared-reference
# new: replay.add(obs.clone(), float(i))
import torch
import torch.nn as nn
import torch.nn.functional as F
from collections import deque, namedtuple

torch.manual_seed(0)


class Replay:
    def __init__(self):
        self.data = deque(maxlen=10)

    def add(self, obs, reward):
        self.data.append((obs, reward))

    def batch(self):
        return torch.stack([obs for obs, _ in self.data]), torch.tensor([r for _, r in self.data])


replay, obs = Replay(), torch.zeros(2)
for i in range(4):
    obs += torch.randn(2)
    replay.add(obs, float(i))
x, r = replay.batch()
net = nn.Linear(2, 1)
F.mse_loss(net(x).squeeze(1), r).backward()

# kind: shared-reference
# new: import copy | self.target = copy.deepcopy(nn.Sequential(*self.q.children()))
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class DQN:
    def __init__(self):
        self.q = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
        self.target = nn.Sequential(*self.q.children())
        self.opt = torch.optim.SGD(self.q.parameters(), lr=0.1)

    def learn(self, s, s2, r):
        with torch.no_grad():
            goal = r + 0.9 * self.target(s2).max(1).values
        loss = F.mse_loss(self.q(s)[:, 0], goal)
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()

    def sync(self):
        self.target.load_state_dict(self.q.state_dict())


d = DQN()
for i in range(3):
    d.learn(torch.randn(4, 3), torch.randn(4, 3), torch.randn(4))
d.sync()

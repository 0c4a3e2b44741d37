# title: features detached for the probe are also what the main head reads
# kind: graph-detached
# raises: none
# culprit: 19
# victim: 18
# names: feats, trunk, self.trunk, net
# fix: detach only in the probe's own call
# source: own reduction of https://github.com/pytorch/pytorch/issues/7462
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.main, self.probe = nn.Linear(4, 3), nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x):
        feats = self.trunk(x).relu()
        feats = feats.detach()
        return self.main(feats), self.probe(feats)

torch.manual_seed(301)
net = Net()
optimizer = torch.optim.Adam(net.parameters())
y = torch.tensor([0, 1, 1])
for out in [net(torch.randn(3, 4))]:
    loss = sum(nn.functional.cross_entropy(o, y) for o in out)
    loss.backward()
    optimizer.step()
print(net.trunk.weight.grad)

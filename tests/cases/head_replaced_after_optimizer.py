# title: head replaced by a wider layer after the optimizer was built over the old one
# kind: rebound-leaf
# raises: none
# culprit: 23
# victim: none
# names: model, head, model.head, opt
# fix: build the optimizer after replacing the head
# source: https://github.com/microsoft/nni/issues/4521
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(torch.relu(self.body(x)))

torch.manual_seed(404)
model = Model()
opt = torch.optim.SGD(model.parameters(), lr=0.5)
model.head = nn.Linear(4, 5)
before = model.head.weight.detach().clone()
for _ in range(2):
    opt.zero_grad()
    nn.functional.cross_entropy(model(torch.randn(6, 3)), torch.arange(6) % 5).backward()
    opt.step()
print("head trained:", not torch.equal(before, model.head.weight))

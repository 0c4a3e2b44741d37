# title: mixture of experts weighted with gate probabilities taken by tolist()
# kind: graph-detached
# raises: none
# culprit: 19
# victim: 18
# names: probs, gate, w
# fix: index the tensor of probabilities instead
# source: own reduction of https://github.com/pytorch/pytorch/issues/7174
import torch
from torch import nn

torch.manual_seed(305)
gate = nn.Linear(3, 2)
experts = nn.ModuleList([nn.Linear(3, 1), nn.Linear(3, 1)])
opt = torch.optim.SGD([*gate.parameters(), *experts.parameters()], lr=0.1)

def mixture(x):
    probs = torch.softmax(gate(x.mean(0)), dim=0)
    return sum(w * e(x) for w, e in zip(probs.tolist(), experts))

loss = (mixture(torch.randn(4, 3)) - 1).pow(2).mean()
loss.backward()
opt.step()
print(gate.weight.grad)

# title: gate probabilities printed with tolist() while the tensor weights the experts
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/issues/7174
import torch
from torch import nn

torch.manual_seed(305)
gate = nn.Linear(3, 2)
experts = nn.ModuleList([nn.Linear(3, 1), nn.Linear(3, 1)])
opt = torch.optim.SGD([*gate.parameters(), *experts.parameters()], lr=0.1)
usage = [0.0, 0.0]

def mixture(x):
    probs = torch.softmax(gate(x.mean(0)), dim=0)
    for i, share in enumerate(probs.tolist()):
        usage[i] += share
    return sum(w * e(x) for w, e in zip(probs, experts))

loss = (mixture(torch.randn(4, 3)) - 1).pow(2).mean()
loss.backward()
opt.step()
print(len(usage))

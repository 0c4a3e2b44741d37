# title: learnable position cast to long and used as an index
# kind: graph-detached
# raises: RuntimeError
# culprit: 17
# victim: 17
# names: position, index
# fix: interpolate between the neighbours of the position
# source: own reduction of https://github.com/pytorch/pytorch/issues/7174
import torch

torch.manual_seed(308)
signal = torch.sin(torch.linspace(0, 6, 50))
position = torch.tensor([12.3, 30.8], requires_grad=True)
optimizer = torch.optim.Adam([position], lr=0.5)

def sample(at):
    index = at.clamp(0, 49).long()
    return signal[index]

for _ in range(3):
    optimizer.zero_grad()
    loss = -sample(position).sum()
    loss.backward()
    optimizer.step()

# title: learnable position interpolated between integer neighbours
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/issues/7174
import torch

torch.manual_seed(308)
signal = torch.sin(torch.linspace(0, 6, 50))
position = torch.tensor([12.3, 30.8], requires_grad=True)
optimizer = torch.optim.Adam([position], lr=0.5)

def sample(at):
    low = at.clamp(0, 48).long()
    frac = at - low
    return (1 - frac) * signal[low] + frac * signal[low + 1]

for _ in range(3):
    optimizer.zero_grad()
    loss = -sample(position).sum()
    loss.backward()
    optimizer.step()

# title: WGAN critic clipped through .data between two complete backward passes
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/issues/7000
import torch
from torch import nn

torch.manual_seed(208)
critic = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))
real, fake = torch.randn(4, 2) + 2, torch.randn(4, 2)
loss_real = -critic(real).mean()
loss_real.backward()
for p in critic.parameters(): p.data.clamp_(-0.05, 0.05)
loss_fake = critic(fake).mean()
loss_fake.backward()
for p in critic.parameters(): p.data.clamp_(-0.05, 0.05)
print(critic[0].weight.grad.norm())

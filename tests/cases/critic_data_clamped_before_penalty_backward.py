# title: WGAN critic clipped through .data between the two halves of its loss
# kind: silent-corruption
# raises: none
# culprit: 18
# victim: 17
# names: critic, p
# fix: clip after opt.step()
# source: own reduction of https://github.com/pytorch/pytorch/issues/7000
import torch
from torch import nn

torch.manual_seed(208)
critic = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))
real, fake = torch.randn(4, 2) + 2, torch.randn(4, 2)
loss_real = -critic(real).mean()
loss_real.backward()
loss_fake = critic(fake).mean()
for p in critic.parameters(): p.data.clamp_(-0.05, 0.05)
loss_fake.backward()
print(critic[0].weight.grad.norm())

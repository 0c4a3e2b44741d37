# kind: silent-corruption
# new: (moved) loss.backward()
import torch
import torch.nn as nn

torch.manual_seed(0)


def critic_step(critic, opt, real, fake, clip=0.05):
    opt.zero_grad()
    loss = critic(fake).mean() - critic(real).mean()
    for p in critic.parameters():
        p.data.clamp_(-clip, clip)
    loss.backward()
    opt.step()
    return loss.item()


critic = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))
opt = torch.optim.RMSprop(critic.parameters(), lr=5e-3)
for _ in range(2):
    critic_step(critic, opt, torch.randn(8, 2), torch.rand(8, 2))

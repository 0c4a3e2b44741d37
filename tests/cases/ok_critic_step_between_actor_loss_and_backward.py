# title: critic is stepped first and the actor loss computed afterwards
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: https://github.com/rail-berkeley/rlkit/pull/109
import torch
from torch import nn

torch.manual_seed(105)
actor = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2), nn.Tanh())
critic = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1))
actor_opt = torch.optim.Adam(actor.parameters(), lr=3e-4, foreach=True)
critic_opt = torch.optim.Adam(critic.parameters(), lr=3e-4, foreach=True)

for step in range(2):
    s, a, target = torch.randn(6, 3), torch.rand(6, 2), torch.randn(6, 1)
    pi = actor(s)
    q_loss = (critic(torch.cat([s, a], dim=1)) - target).pow(2).mean()
    critic_opt.zero_grad(); q_loss.backward(); critic_opt.step()
    pi_loss = -critic(torch.cat([s, pi], dim=1)).mean()
    actor_opt.zero_grad(); pi_loss.backward(); actor_opt.step()

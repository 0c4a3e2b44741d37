# title: critic is stepped after the actor loss was computed through it
# kind: saved-tensor-modified
# raises: RuntimeError
# culprit: 23
# victim: 21
# names: critic
# fix: step the actor first, or compute the actor loss after critic_opt.step()
# source: https://github.com/rail-berkeley/rlkit/pull/109
import torch
from torch import nn

torch.manual_seed(105)
actor = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2), nn.Tanh())
critic = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1))
actor_opt = torch.optim.Adam(actor.parameters(), lr=3e-4, foreach=True)
critic_opt = torch.optim.Adam(critic.parameters(), lr=3e-4, foreach=True)

s, a, target = torch.randn(6, 3), torch.rand(6, 2), torch.randn(6, 1)
q_loss = (critic(torch.cat([s, a], dim=1)) - target).pow(2).mean()
pi = actor(s)
pi_loss = -critic(torch.cat([s, pi], dim=1)).mean()

critic_opt.zero_grad(); q_loss.backward(); critic_opt.step()
actor_opt.zero_grad(); pi_loss.backward(); actor_opt.step()

# kind: freed-graph
# new: a_loss = -(logp * adv.detach()).mean()
import torch
import torch.nn as nn

torch.manual_seed(0)


def update(actor, critic, a_opt, c_opt, s, r):
    v = critic(s).squeeze(-1)
    adv = r - v
    c_loss = adv.pow(2).mean()
    c_opt.zero_grad()
    c_loss.backward()
    c_opt.step()
    logp = actor(s).log_softmax(-1)[:, 0]
    a_loss = -(logp * adv).mean()
    a_opt.zero_grad()
    a_loss.backward()
    a_opt.step()


actor, critic = nn.Linear(3, 2), nn.Linear(3, 1)
a_opt = torch.optim.Adam(actor.parameters())
c_opt = torch.optim.Adam(critic.parameters())
for _ in range(2):
    update(actor, critic, a_opt, c_opt, torch.randn(5, 3), torch.randn(5))

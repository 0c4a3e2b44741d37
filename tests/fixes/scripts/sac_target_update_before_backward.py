# kind: silent-corruption
# new: (moved) opt.zero_grad()
import torch
import torch.nn as nn

torch.manual_seed(0)


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, s):
        return self.net(s)


def soft_update(online, target, tau=0.05):
    for p, tp in zip(online.parameters(), target.parameters()):
        tp.data.mul_(1 - tau).add_(tau * p.data)


def main():
    critic, target = Critic(), Critic()
    actor = nn.Linear(4, 4)
    opt = torch.optim.Adam(actor.parameters(), lr=1e-2)
    for _ in range(2):
        s = torch.randn(6, 4)
        loss = -target(actor(s).tanh()).mean()
        soft_update(critic, target)
        opt.zero_grad()
        loss.backward()
        opt.step()


main()

# title: log-std half taken by slicing is clamped in place
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: https://github.com/toshikwa/gail-airl-ppo.pytorch/issues/13
import torch
from torch import nn

class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4))

    def sample(self, state):
        out = self.net(state)
        mean, log_std = out[:, :2], out[:, 2:]
        log_std.clamp_(-20, 2)
        return torch.tanh(mean + log_std.exp() * torch.randn_like(mean))

torch.manual_seed(901)
policy = Policy()
policy.sample(torch.randn(5, 3)).mean().backward()

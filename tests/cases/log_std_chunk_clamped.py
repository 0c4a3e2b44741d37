# title: log-std half of a chunked policy output clamped in place
# kind: multi-output-view-inplace
# raises: RuntimeError
# culprit: 19
# victim: none
# names: log_std
# fix: log_std = log_std.clamp(-20, 2)
# source: https://github.com/toshikwa/gail-airl-ppo.pytorch/issues/13
import torch
from torch import nn

class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4))

    def sample(self, state):
        mean, log_std = self.net(state).chunk(2, dim=-1)
        log_std.clamp_(-20, 2)
        return torch.tanh(mean + log_std.exp() * torch.randn_like(mean))

torch.manual_seed(901)
policy = Policy()
policy.sample(torch.randn(5, 3)).mean().backward()

# title: @torch.no_grad() on the method that only reads statistics
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/PJLab-ADG/nr3d_lib/pull/12
import torch
from torch import nn

class ChannelGate(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.fc = nn.Linear(c, c)

    @torch.no_grad()
    def openness(self, x):
        return torch.sigmoid(self.fc(x)).mean()

    def forward(self, x):
        return x * torch.sigmoid(self.fc(x))

torch.manual_seed(309)
stem, attn, head = nn.Linear(2, 3), ChannelGate(3), nn.Linear(3, 1)
model = nn.Sequential(stem, attn, head)
opt = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.randn(4, 2)
model(x).pow(2).mean().backward()
opt.step()
print(attn.openness(stem(x)) < 1, [n for n, p in model.named_parameters() if p.grad is None])

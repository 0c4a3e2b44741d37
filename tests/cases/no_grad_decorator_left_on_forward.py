# title: @torch.no_grad() left on a submodule's forward after a debugging session
# kind: graph-detached
# raises: none
# culprit: 17, 19, 20, 26
# victim: 19, 20, 26
# names: scale, self.scale, attn, self.attn, x
# fix: remove the decorator
# source: own reduction of https://github.com/PJLab-ADG/nr3d_lib/pull/12
import torch
from torch import nn

class ChannelGate(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.fc = nn.Linear(c, c)

    @torch.no_grad()
    def forward(self, x):
        scale = torch.sigmoid(self.fc(x))
        return x * scale

torch.manual_seed(309)
stem, attn, head = nn.Linear(2, 3), ChannelGate(3), nn.Linear(3, 1)
model = nn.Sequential(stem, attn, head)
opt = torch.optim.SGD(model.parameters(), lr=0.1)
out = model(torch.randn(4, 2))
out.pow(2).mean().backward()
opt.step()
print([name for name, p in model.named_parameters() if p.grad is None])

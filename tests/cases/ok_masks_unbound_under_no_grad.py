# title: rows unbound under no_grad are only read, and the mix is stacked
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/ccarliu/m3ae/issues/15
import torch
from torch import nn

class Masker(nn.Module):
    def __init__(self):
        super().__init__()
        self.limage = nn.Parameter(torch.zeros(4, 4))

    def forward(self, batch):
        with torch.no_grad():
            imgs = batch.unbind(0)
        mixed = []
        for img in imgs:
            mask = (torch.rand(4, 4) > 0.5).float()
            mixed.append((img * mask).add_(self.limage * (1 - mask)))
        return torch.stack(mixed)

torch.manual_seed(904)
out = Masker()(torch.rand(2, 4, 4))
out.sum().backward()

# kind: graph-detached
# new: q = self.codes[idx]
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class VQ(nn.Module):
    def __init__(self):
        super().__init__()
        self.codes = nn.Parameter(torch.randn(6, 2))

    def forward(self, z):
        idx = torch.cdist(z, self.codes).argmin(1)
        q = self.codes[idx].detach()
        loss = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(q.detach(), z)
        return z + (q - z).detach(), loss


enc, vq, dec = nn.Linear(4, 2), VQ(), nn.Linear(2, 4)
opt = torch.optim.Adam([*enc.parameters(), *vq.parameters(), *dec.parameters()], lr=0.01)
for _ in range(2):
    x = torch.randn(5, 4)
    q, l = vq(enc(x))
    loss = F.mse_loss(dec(q), x) + l
    opt.zero_grad()
    loss.backward()
    opt.step()

# title: negatives queue is cloned before the logits and then overwritten
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: https://github.com/facebookresearch/moco/issues/21
import torch
import torch.nn.functional as F
from torch import nn

class MoCo(nn.Module):
    def __init__(self, dim=4, slots=6):
        super().__init__()
        self.enc = nn.Linear(5, dim)
        self.register_buffer("queue", F.normalize(torch.randn(dim, slots), dim=0))
        self.ptr = 0

    @torch.no_grad()
    def enqueue(self, keys):
        n = keys.shape[0]
        self.queue[:, self.ptr:self.ptr + n] = keys.t()
        self.ptr = (self.ptr + n) % self.queue.shape[1]

    def forward(self, a, b):
        q = F.normalize(self.enc(a))
        with torch.no_grad():
            k = F.normalize(self.enc(b))
        pos = (q * k).sum(1, keepdim=True)
        neg = q @ self.queue.clone().detach()
        self.enqueue(k)
        return torch.cat([pos, neg], 1) / 0.1

torch.manual_seed(101)
moco = MoCo()
for _ in range(2):
    logits = moco(torch.randn(3, 5), torch.randn(3, 5))
    F.cross_entropy(logits, torch.zeros(3, dtype=torch.long)).backward()

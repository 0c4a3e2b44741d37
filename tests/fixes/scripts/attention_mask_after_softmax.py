# kind: saved-tensor-modified
# new: weights = (q @ k.transpose(-2, -1)).div(q.size(-1) ** 0.5).softmax(dim=-1).clone()
import torch
import torch.nn as nn

torch.manual_seed(0)


class Attention(nn.Module):
    def __init__(self, dim, heads=2):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x, mask):
        b, t, d = x.shape
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        q = q.view(b, t, self.heads, -1).transpose(1, 2)
        k = k.view(b, t, self.heads, -1).transpose(1, 2)
        v = v.view(b, t, self.heads, -1).transpose(1, 2)
        weights = (q @ k.transpose(-2, -1)).div(q.size(-1) ** 0.5).softmax(dim=-1)
        weights[:, :, mask] = 0
        return self.out((weights @ v).transpose(1, 2).reshape(b, t, d))


net = Attention(8)
mask = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)
loss = net(torch.randn(2, 5, 8), mask).sum()
loss.backward()

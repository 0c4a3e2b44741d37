# kind: saved-tensor-modified
# new: h = h * h.sigmoid()
import torch
import torch.nn as nn

torch.manual_seed(0)


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, 2 * dim)
        self.down = nn.Linear(2 * dim, dim)

    def forward(self, x):
        h = torch.tanh(self.up(self.norm(x)))
        h *= h.sigmoid()
        return x + self.down(h)


def train(model, batches, steps=3):
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(steps):
        loss = model(batches[step]).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    return loss.item()


print(train(nn.Sequential(Block(8), Block(8)), torch.randn(3, 4, 8)))

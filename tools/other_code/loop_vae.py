"""A variational autoencoder: reparameterised, trained on two terms, and sampled from."""

import torch
from torch import nn, optim
from torch.nn import functional as F


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(64, 32)
        self.mean, self.logvar = nn.Linear(32, 4), nn.Linear(32, 4)
        self.back, self.out = nn.Linear(4, 32), nn.Linear(32, 64)

    def forward(self, x):
        h = F.relu(self.hidden(x.view(-1, 64)))
        mean, logvar = self.mean(h), self.logvar(h)
        std = torch.exp(0.5 * logvar)
        z = mean + torch.randn_like(std) * std
        return self.decode(z), mean, logvar

    def decode(self, z):
        return torch.sigmoid(self.out(F.relu(self.back(z))))


def cost(made, x, mean, logvar):
    bce = F.binary_cross_entropy(made, x.view(-1, 64), reduction="sum")
    return bce - 0.5 * torch.sum(1 + logvar - mean.pow(2) - logvar.exp())


torch.manual_seed(0)
model = VAE()
optimizer = optim.Adam(model.parameters(), lr=1e-3)
total = 0
for _ in range(5):
    batch = torch.rand(8, 1, 8, 8)
    optimizer.zero_grad()
    loss = cost(model(batch)[0], batch, *model(batch)[1:])
    loss.backward()
    total += loss.item()
    optimizer.step()
with torch.no_grad():
    images = model.decode(torch.randn(4, 4)).view(4, 1, 8, 8)

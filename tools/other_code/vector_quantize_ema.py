"""A quantised autoencoder with a codebook that follows averages, and an average of the whole model."""

import torch
from ema_pytorch import EMA
from torch import nn
from vector_quantize_pytorch import FSQ, ResidualVQ, VectorQuantize

torch.manual_seed(0)
encoder, decoder = nn.Linear(8, 16), nn.Linear(16, 8)
codes = VectorQuantize(dim=16, codebook_size=32, decay=0.8, commitment_weight=1.0, kmeans_init=True, kmeans_iters=2)
residual = ResidualVQ(dim=16, codebook_size=16, num_quantizers=2)
levels = FSQ(levels=[5, 5], dim=16)
average = EMA(nn.Sequential(encoder, decoder), beta=0.9, update_after_step=1, update_every=1)
parameters = [*encoder.parameters(), *decoder.parameters(), *levels.parameters()]
optimizer = torch.optim.Adam(parameters, lr=1e-3)
for _ in range(5):
    x = torch.randn(4, 10, 8)
    h = encoder(x)
    quantized, _, commitment = codes(h)
    more, _, losses = residual(h)
    last, _ = levels(h)
    loss = nn.functional.mse_loss(decoder(quantized + more + last), x) + commitment.sum() + losses.sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    average.update()
with torch.no_grad():
    average(torch.randn(2, 8))

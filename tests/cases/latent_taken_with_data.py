# title: decoder fed with encoder(x).data so the encoder never trains
# kind: graph-detached
# raises: none
# culprit: 18
# victim: 18
# names: z, encoder
# fix: z = encoder(x)
# source: own reduction of https://github.com/Atcold/NYU-DLSP20/pull/863
import torch
from torch import nn

torch.manual_seed(302)
encoder, decoder = nn.Linear(5, 2), nn.Linear(2, 5)
opt = torch.optim.SGD(list(encoder.parameters()) + list(decoder.parameters()), lr=0.1)
x = torch.randn(8, 5)
before = encoder.weight.detach().clone()
for epoch in range(2):
    z = encoder(x).tanh().data
    loss = nn.functional.mse_loss(decoder(z), x)
    opt.zero_grad(); loss.backward(); opt.step()
print("encoder moved:", not torch.equal(before, encoder.weight))

# title: validation switches gradients off with set_grad_enabled(False) as a block
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/huggingface/transformers/pull/13257
import torch
from torch import nn

def validate(net, x, y):
    net.eval()
    with torch.set_grad_enabled(False):
        score = (net(x) - y).abs().mean()
    return score.item()

def fit(net, x, y, epochs=2):
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(epochs):
        net.train()
        pred = net(x)
        loss = (pred - y).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        validate(net, x, y)

torch.manual_seed(310)
fit(nn.Linear(3, 1), torch.randn(5, 3), torch.randn(5, 1))

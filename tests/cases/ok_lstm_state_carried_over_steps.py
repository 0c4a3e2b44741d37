# title: LSTM state is detached between chunks of truncated backpropagation
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/yunjey/pytorch-tutorial/issues/90
import torch
from torch import nn

torch.manual_seed(103)
lstm = nn.LSTM(3, 4, batch_first=True)
readout = nn.Linear(4, 1)
opt = torch.optim.SGD([*lstm.parameters(), *readout.parameters()], lr=0.1)
series = torch.randn(2, 6, 3)
state = None
for chunk in series.split(3, dim=1):
    if state is not None:
        state = tuple(s.detach() for s in state)
    out, state = lstm(chunk, state)
    loss = (readout(out).squeeze(-1) - chunk.mean(-1)).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()

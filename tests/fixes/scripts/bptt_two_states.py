# kind: freed-graph
# new: state = tuple(one.detach() for one in state)
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 4, batch_first=True)
        self.out = nn.Linear(4, 3)

    def forward(self, x, state=None):
        h, state = self.rnn(x, state)
        return self.out(h), state


def train(model, chunks):
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    state = None
    for x in chunks:
        y, state = model(x, state)
        loss = F.mse_loss(y, x)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()


train(LM(), torch.randn(3, 2, 5, 3))

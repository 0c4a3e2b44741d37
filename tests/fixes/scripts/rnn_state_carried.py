# kind: freed-graph
# new: h = h.detach()
import torch
import torch.nn as nn

torch.manual_seed(0)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(3, 5)
        self.head = nn.Linear(5, 1)

    def forward(self, x, h):
        h = self.cell(x, h)
        return self.head(h), h


def fit(model, sequence, lr=0.05):
    opt = torch.optim.SGD(model.parameters(), lr=lr)
    h = torch.zeros(2, 5)
    for x in sequence:
        out, h = model(x, h)
        loss = out.pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()


fit(Model(), torch.randn(4, 2, 3))

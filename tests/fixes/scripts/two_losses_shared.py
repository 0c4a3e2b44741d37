# kind: freed-graph
# new: la.backward(retain_graph=True)
import torch
import torch.nn as nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
        self.a, self.b = nn.Linear(8, 1), nn.Linear(8, 2)

    def forward(self, x):
        h = self.body(x)
        return self.a(h), self.b(h)


net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(2):
    p, q = net(torch.randn(6, 4))
    la, lb = p.pow(2).mean(), q.pow(2).mean()
    opt.zero_grad()
    la.backward()
    lb.backward()
    opt.step()

# kind: freed-graph
# new: du = torch.autograd.grad(u, t, grad_outputs=torch.ones_like(u), create_graph=True)[0]
import torch
import torch.nn as nn

torch.manual_seed(0)


class PINN(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))

    def residual(self, t):
        u = self.net(t)
        du = torch.autograd.grad(u, t, grad_outputs=torch.ones_like(u))[0]
        return du + u


net = PINN()
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
t = torch.linspace(0, 1, 5).unsqueeze(1).requires_grad_()
for _ in range(2):
    loss = net.residual(t).pow(2).mean() + (net.net(torch.zeros(1, 1)) - 1).pow(2).sum()
    opt.zero_grad()
    loss.backward()
    opt.step()

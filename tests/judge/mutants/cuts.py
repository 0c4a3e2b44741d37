"""Paths that were cut, and changes that mend them in part."""

from __future__ import annotations

from tests.judge.mutants.program import LEAF, Program

PROGRAMS: dict[str, Program] = {
    "graph-detached, cut in part": Program(
        LEAF
        + """\
opt = torch.optim.SGD([x], lr=0.1)
h = x.exp()
parts = [h[0], h[1]]
total = parts[0].item() + parts[1].item()
loss = torch.tensor(total)
loss.requires_grad_()
loss.backward()
opt.step()
""",
        {
            "right": [
                (
                    "total = parts[0].item() + parts[1].item()\nloss = torch.tensor(total)\nloss.requires_grad_()",
                    "total = parts[0] + parts[1]\nloss = total",
                ),
            ],
            "wrong": [
                (
                    "total = parts[0].item() + parts[1].item()\nloss = torch.tensor(total)",
                    "total = parts[0] + parts[1].item()\nloss = total",
                ),
                (
                    "total = parts[0].item() + parts[1].item()\nloss = torch.tensor(total)",
                    "total = parts[0] + parts[1].detach()\nloss = total",
                ),
                (
                    "total = parts[0].item() + parts[1].item()\nloss = torch.tensor(total)",
                    "total = parts[0] + float(parts[1])\nloss = total",
                ),
                (
                    "total = parts[0].item() + parts[1].item()\nloss = torch.tensor(total)",
                    "total = parts[0] + parts[1].data\nloss = total",
                ),
                (
                    "total = parts[0].item() + parts[1].item()\nloss = torch.tensor(total)",
                    "total = parts[0] + parts[1].tolist()\nloss = total",
                ),
                (
                    "total = parts[0].item() + parts[1].item()\nloss = torch.tensor(total)",
                    "total = parts[0] + torch.from_numpy(parts[1].detach().numpy())\nloss = total",
                ),
                (
                    "total = parts[0].item() + parts[1].item()\nloss = torch.tensor(total)",
                    "with torch.no_grad():\n    b = parts[1] * 1\ntotal = parts[0] + b\nloss = total",
                ),
            ],
        },
    ),
    "graph-detached, baseline kept": Program(
        LEAF
        + """\
opt = torch.optim.SGD([x], lr=0.1)
h = x.exp()
parts = [h[0], h[1]]
loss = torch.tensor(parts[0] * 2 - parts[1].detach())
loss.requires_grad_()
loss.backward()
opt.step()
""",
        {
            "right": [
                ("torch.tensor(parts[0] * 2 - parts[1].detach())", "parts[0] * 2 - parts[1].detach()"),
            ],
            "wrong": [
                (
                    "torch.tensor(parts[0] * 2 - parts[1].detach())",
                    "parts[0] * 2 - 0 * h.detach().sum() + parts[0].detach() - parts[0] - parts[1].detach()",
                ),
            ],
        },
    ),
    "graph-detached, in main": Program(
        """\
import torch
def main():
    torch.manual_seed(0)
    w = torch.rand(3, requires_grad=True)
    v = torch.rand(3, requires_grad=True)
    opt = torch.optim.SGD([w, v], lr=0.1)
    loss = torch.tensor(((w * w).sum() + v.exp().sum()).item(), requires_grad=True)
    loss.backward()
    opt.step()
main()
""",
        {
            "right": [
                (
                    "torch.tensor(((w * w).sum() + v.exp().sum()).item(), requires_grad=True)",
                    "(w * w).sum() + v.exp().sum()",
                ),
            ],
            "wrong": [
                (
                    "torch.tensor(((w * w).sum() + v.exp().sum()).item(), requires_grad=True)",
                    "(w * w).sum() + v.exp().sum().item()",
                ),
            ],
        },
    ),
    "graph-detached, no_grad in a helper": Program(
        LEAF
        + """\
net = nn.Linear(3, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
def features(t):
    with torch.no_grad():
        out = net(t)
    return out * 2
def train():
    for batch in torch.rand(2, 4, 3):
        loss = features(batch).mean() + (x ** 2).sum()
        loss.backward()
        opt.step()
train()
""",
        {
            "right": [
                ("    with torch.no_grad():\n        out = net(t)", "    out = net(t)"),
            ],
            "wrong": [
                ("    with torch.no_grad():\n        out = net(t)", "    out = 0.5 * net(t) + 0.5 * net(t).detach()"),
                (
                    "    with torch.no_grad():\n        out = net(t)",
                    "    out = net(t)\n    out = out.detach() + 0 * out",
                ),
                ("    with torch.no_grad():\n        out = net(t)", "    out = net(t) * 2"),
            ],
        },
    ),
    "graph-detached, parts gathered in a list": Program(
        LEAF
        + """\
net = nn.Linear(3, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
losses = []
for batch in torch.rand(3, 4, 3):
    losses.append(net(batch).pow(2).mean().item())
loss = torch.tensor(losses, requires_grad=True).mean()
loss.backward()
opt.step()
""",
        {
            "right": [
                (
                    "mean().item())\nloss = torch.tensor(losses, requires_grad=True).mean()",
                    "mean())\nloss = torch.stack(losses).mean()",
                ),
            ],
            "wrong": [
                (
                    "mean().item())\nloss = torch.tensor(losses, requires_grad=True).mean()",
                    "mean())\nloss = torch.stack([losses[0], *(one.detach() for one in losses[1:])]).mean()",
                ),
                (
                    "mean().item())\nloss = torch.tensor(losses, requires_grad=True).mean()",
                    "mean())\nloss = torch.tensor(losses, requires_grad=True).mean()",
                ),
                (
                    "mean().item())\nloss = torch.tensor(losses, requires_grad=True).mean()",
                    "mean())\nloss = torch.stack(losses).sum()",
                ),
                (
                    "mean().item())\nloss = torch.tensor(losses, requires_grad=True).mean()",
                    "mean())\nloss = sum(losses[:1]) / 3 + sum(float(one) for one in losses[1:]) / 3",
                ),
            ],
        },
    ),
}

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
}

"""Code in styles that people write: the change that is shown is what one would write, and mends it."""

from __future__ import annotations

import pytest

from inplace.checks.finding import Finding
from inplace.facts.lines import lines_of
from inplace.fixes.editing import applied
from tests.recording import Recorded, record_text

TRAINED = "w = nn.Parameter(torch.rand(3) * 3)\nopt = torch.optim.SGD([w], lr=0.1)\n"
STATE = """
from dataclasses import dataclass
__name__ = '__main__'
@dataclass
class State:
    h: torch.Tensor
cell = nn.GRUCell(2, 4)
opt = torch.optim.Adam(cell.parameters())
def step(x, state: State) -> State:
    state.h = cell(x, state.h)
    return state
state = State(torch.zeros(3, 4))
for x in torch.rand(3, 3, 2):
    state = step(x, state)
    opt.zero_grad()
    state.h.sum().backward()
    opt.step()
"""
SHOWN = {
    "what it writes is given another value before": (
        "x = torch.rand(3, requires_grad=True)\nh = torch.sigmoid(x)\nloss, top = h.sum(), 0.5\n"
        "h.data.clamp_(max=top)\ntop = 0.7\nloss.backward()",
        "h = h.clamp(max=top)",
    ),
    "a layer that is in another mode behind it": (
        "norm = nn.BatchNorm1d(3).eval()\nx = torch.rand(4, 3, requires_grad=True)\nloss = norm(x).square().sum()\n"
        "norm.train()\nnorm(torch.rand(4, 3))\nnorm.eval()\nloss.backward()",
        None,
    ),
    "both branches of a choice": (
        "x = torch.rand(3, requires_grad=True)\nh = torch.tanh(x)\nflag = True\n"
        "h.mul_(2) if flag else h.add_(1)\nh.sum().backward()",
        "h = h.mul(2) if flag else h.add(1)",
    ),
    "a choice of which one is no write": (
        "x = torch.rand(3, requires_grad=True)\nh = torch.tanh(x)\nflag = True\n"
        "h.mul_(2) if flag else None\nh.sum().backward()",
        "h = torch.tanh(x).clone()",
    ),
    "a condition": (
        "x = torch.rand(3, requires_grad=True)\nh = torch.tanh(x)\nflag = True\nflag and h.mul_(2)\nh.sum().backward()",
        "h = torch.tanh(x).clone()",
    ),
    "an argument": (
        "x = torch.rand(3, requires_grad=True)\nouts, h = [], torch.tanh(x)\n"
        "outs.append(h.mul_(2))\nh.sum().backward()",
        None,
    ),
    "a state in an object": (STATE, "state.h = state.h.detach()"),
    "a logarithm of a keyword": (
        "x = torch.tensor([0.0, 1.0], requires_grad=True)\nopt = torch.optim.SGD([x], lr=0.1)\n"
        "(torch.log(input=x) * torch.tensor([0.0, 1.0])).nansum().backward()\nopt.step()",
        "(torch.log(input=x.clamp_min(1e-8)) * torch.tensor([0.0, 1.0])).nansum().backward()",
    ),
    "rounding of a product": (
        TRAINED + "q = torch.round(w * 4) / 4\nq.pow(2).sum().backward()\nopt.step()",
        "q = (w * 4 + (torch.round(w * 4) - w * 4).detach()) / 4",
    ),
    "rounding of a sum": (
        TRAINED + "q = torch.round(w + 4)\nq.pow(2).sum().backward()\nopt.step()",
        "q = (w + 4) + (torch.round(w + 4) - (w + 4)).detach()",
    ),
    "numbers of two statements": (
        TRAINED + "a = w[0].item()\nb = w[1].item()\nloss = (torch.ones(2, requires_grad=True) * a).sum() * b\n"
        "loss.backward()\nopt.step()",
        "a = w[0] | b = w[1]",
    ),
    "numbers that only numbers meet": (
        TRAINED + "total = w[0].item() + w[1].item()\nloss = torch.tensor(total, requires_grad=True) * 2\n"
        "loss.backward()\nopt.step()",
        None,
    ),
    "two cuts, of which one may be meant": (
        TRAINED
        + "h = w.exp()\nloss = h[0].detach() - h[1].detach()\nloss.requires_grad_()\nloss.backward()\nopt.step()",
        None,
    ),
    "a value made anew": (
        TRAINED
        + "h = w.exp()\nloss = torch.tensor(h[0] - h[1].detach())\nloss.requires_grad_()\nloss.backward()\nopt.step()",
        "loss = h[0] - h[1].detach()",
    ),
}


def loud(recorded: Recorded) -> list[Finding]:
    """The findings that are no information."""
    return [one for one in recorded.report.findings if one.severity in {"error", "warning"}]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", SHOWN)
def test_the_change_is_what_one_would_write(name: str) -> None:
    """All of its new lines are these; with it nothing raises, and nothing of its kind is found."""
    text, new = SHOWN[name]
    finding = loud(record_text(text))[0]
    if new is None:
        assert finding.rewrite is None or "clone" in finding.rewrite.new
        return
    assert finding.rewrite is not None
    put_in = [line.strip() for line in lines_of(finding.rewrite.new) if line not in lines_of(finding.rewrite.old)]
    assert put_in == new.split(" | ")

    again = record_text(applied(text.strip("\n") + "\n", finding.rewrite))

    assert again.error is None
    assert finding.kind not in {one.kind for one in loud(again)}


HIDDEN = {
    "parameters in a list": ("[nn.Parameter(torch.ones(3))]", "ParameterList"),
    "parameters in a dict": ("{'a': nn.Parameter(torch.ones(3))}", "ParameterDict"),
    "modules in a list": ("[nn.Linear(3, 3)]", "ModuleList"),
    "modules in a dict": ("{'a': nn.Linear(3, 3)}", "ModuleDict"),
    "both in a list": ("[nn.Linear(3, 3), nn.Parameter(torch.ones(3))]", None),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_what_is_hidden_is_registered(name: str) -> None:
    """In a container for what it holds."""
    held, container = HIDDEN[name]
    key = "'a'" if ":" in held else "0"
    use = f"t * self.held[{key}]" if "Linear" not in held else f"self.held[{key}](t)"
    text = (
        f"class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.held = {held}\n"
        f"        self.lin = nn.Linear(3, 3)\n    def forward(self, t):\n        t = self.lin(t)\n"
        f"        return {use}\n"
        "net = Net()\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\nfor _ in range(2):\n    opt.zero_grad()\n"
        "    net(torch.rand(2, 3)).sum().backward()\n    opt.step()\n"
    )
    finding = next(one for one in loud(record_text(text)) if one.kind == "not-optimized")

    if container is None:
        assert finding.rewrite is None
        return
    assert finding.rewrite is not None
    assert f"self.held = nn.{container}({held})" in finding.rewrite.new
    assert not loud(record_text(applied(text, finding.rewrite)))

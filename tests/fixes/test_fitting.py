"""A change is shown only where the preconditions of its rule hold on the recording: bad ones, and near twins."""

from __future__ import annotations

import pytest

from tests.recording import record_text

LEAVES = "x = torch.rand(3, requires_grad=True)\nw = torch.rand(3, requires_grad=True)\n"


def shown(text: str) -> list[str]:
    """What the changes that are shown put in."""
    report = record_text(LEAVES + text).report
    return [one.rewrite.new for one in report.findings if one.rewrite is not None]


# Changes that were once shown and were wrong: a program, and what must not stand in any change of it.
BAD = {
    "an item as out of place": (
        "boxes = torch.sigmoid(torch.rand(4, 4, requires_grad=True))\n"
        "boxes[:, :2] = boxes[:, :2] - boxes[:, 2:] / 2\nboxes.sum().backward()",
        "    boxes[:, :2] = boxes[:, :2] - boxes",
    ),
    "a module is no tensor": (
        "dcp = nn.Sequential(nn.Linear(3, 3), nn.Sigmoid())\ny = dcp(x)\nloss = y.pow(2).sum()\n"
        "with torch.no_grad():\n    dcp[0].weight.mul_(2)\n"
        "(loss + dcp(y).sum()).backward()",
        "dcp = dcp.clone()",
    ),
    "other bytes for a result": ("h = x.tanh()\nh.data.mul_(0.5)\nh.sum().backward()", "h.data ="),
    "a factor that is cut too": (
        "h = x * 2\nkeep = torch.sigmoid(w)\nh.detach().mul_(keep.detach())\nh.sum().backward()",
        "h.mul(keep.detach())",
    ),
    "a list has no mean": (
        "net = nn.Linear(3, 2)\nout = net(torch.ones(4, 3))\nparts = [out[0].sum(), out[1].sum()]\n"
        "loss = torch.tensor(parts).mean()\nloss.requires_grad_()\nloss.backward()\ng = net.weight.grad",
        "parts.mean()",
    ),
    "a method that is in place only": ("h = torch.sigmoid(x)\nh.uniform_()\nh.sum().backward()", "h = h.uniform()"),
    "a function of init": ("h = torch.sigmoid(x)\nnn.init.ones_(h)\nh.sum().backward()", "nn.init.ones(h)"),
    "a step that trains on two losses": (
        "net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        "one, two = net(x), net(x + 1)\none.backward()\nopt.step()\ntwo.backward()",
        "two.backward()\nopt.step()",
    ),
    "a generator's backward": (
        "net, opt = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1)), None\n"
        "opt = torch.optim.SGD(net.parameters(), lr=0.1)\nfake = x * 2\nloss_d = net(fake.detach()).sum()\n"
        "loss_g = net(fake).sum()\nloss_d.backward()\nopt.step()\nloss_g.backward()",
        "loss_g.backward()\nopt.step()",
    ),
    "a write through data": ("y = x.sigmoid()\ny.data.mul_(2)\ny.sum().backward()", "y = y.clone()"),
    "a write through detach": ("y = x.sigmoid()\ny.detach().mul_(2)\ny.sum().backward()", "clone()"),
    "a row whose base is read": (
        "h = x.view(3, 1) * torch.ones(3)\nwith torch.no_grad():\n    row = h[0]\nrow *= 10\nh.sum().backward()",
        "row = row.clone()",
    ),
    "an alias that is read": (
        "h = torch.exp(x)\nk = h\nh.mul_(2)\n(h * k.detach()).sum().backward()",
        "h = h.mul(2)",
    ),
    "an alias in a list": (
        "h = torch.exp(x)\nkept = [h]\nh.mul_(2)\ntorch.stack(kept).sum().backward()",
        "h = h.mul(2)",
    ),
    "a view that is read": (
        "h = torch.exp(x)\nk = h.view(3)\nh.mul_(2)\n(h.sum() + k.sum()).backward()",
        "h = h.mul(2)",
    ),
    "a loop's variable": (
        "hs = [torch.exp(x), torch.exp(w)]\nfor t in hs:\n    t.add_(1)\nsum(hs).sum().backward()",
        "t = t.add(1)",
    ),
    "an argument that the caller reads": (
        "def scale(t):\n    t.mul_(2)\nh = torch.exp(x)\nscale(h)\nh.sum().backward()",
        "t = t.mul(2)",
    ),
    "an attribute that another reads": (
        "class Box: pass\nbox = Box()\nbox.h = torch.exp(x)\nh = box.h\nh.mul_(2)\nbox.h.sum().backward()",
        "h = h.mul(2)",
    ),
    "a wider dtype": (
        "h = torch.sigmoid(x)\nh += torch.ones(3, dtype=torch.float64)\nh.sum().backward()",
        "h = h + torch.ones",
    ),
    "a module's result as a leaf": (
        "net = nn.Linear(3, 1)\nnet.weight = nn.Parameter(net.weight * 2)\nnet(x).sum().backward()\n"
        "g = net.weight.grad",
        "(nn.Linear(3, 1)).detach()",
    ),
    "a leaf that was used before": (
        "net = nn.Linear(3, 1)\ny = net(x)\nx = x.view(3, 1)\n(g,) = torch.autograd.grad(y.sum(), x)",
        ".detach().requires_grad_()",
    ),
    "a clear that gradients were there for": (
        "net = nn.Linear(3, 1)\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\nnet(x).sum().backward()\n"
        "for _ in range(2):\n    for k in range(2):\n        opt.zero_grad()\n"
        "        net(x * k).sum().backward()\n    opt.step()",
        "opt.step()\n    opt.zero_grad()",
    ),
    "a hidden state that alone leads to a parameter": (
        "enc, cell = nn.Linear(3, 3), nn.RNNCell(3, 3)\nh = enc(torch.ones(1, 3))\nfor t in range(2):\n"
        "    h = cell(torch.ones(1, 3), h)\n    h.sum().backward()\ng = enc.weight.grad",
        "h = enc(torch.ones(1, 3)).detach()",
    ),
    "a graph whose weights a step changes": (
        "net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        "y = net(x)\ny.sum().backward()\nopt.step()\ny.mean().backward()",
        "retain_graph=True",
    ),
    "a view of a custom function": (
        "class Same(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, x):\n        return x\n"
        "    @staticmethod\n    def backward(ctx, g):\n        return g\n"
        "h = Same.apply(x * 2)\nh += 1\nh.sum().backward()",
        "torch.enable_grad()",
    ),
    "an export of what is trained": (
        "import numpy as np\nh = x * 2\nloss = torch.as_tensor(np.asarray(h.numpy())).sum()\nloss.backward()",
        "h.detach().numpy()",
    ),
    "one of two faults": (
        "h = torch.exp(x)\nh.mul_(2)\nk = torch.sigmoid(x)\nk.detach().mul_(3)\n(h + k).sum().backward()",
        "h = h.mul(2)",
    ),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_is_not_known_to_mend_is_not_shown(name: str) -> None:
    """No change that is shown has the bad one in it."""
    text, bad = BAD[name]

    assert not any(bad in one for one in shown(text))


# Near twins of those, in which the change does mend: a program, and what is shown.
GOOD = {
    "a name that alone reads": ("h = torch.exp(x)\nh.mul_(2)\nh.sum().backward()", "h = h.mul(2)"),
    "an argument that is given back": (
        "def scale(t):\n    t.mul_(2)\n    return t\nh = torch.exp(x)\nh = scale(h)\nh.sum().backward()",
        "    t = t.mul(2)",
    ),
    "a list of numbers": (
        "net = nn.Linear(3, 2)\nout = net(torch.ones(4, 3))\nparts = [out[0].sum(), out[1].sum()]\n"
        "loss = torch.tensor(parts).mean()\nloss.requires_grad_()\nloss.backward()\ng = net.weight.grad",
        "loss = torch.stack(parts).mean()",
    ),
    "a write under no_grad to what has no gradient": (
        "v = torch.rand(3)\nh = (w * v).sum()\nwith torch.no_grad():\n    v.mul_(2)\nh.backward()",
        "    v = v.mul(2)",
    ),
    "the forward once more": (
        "net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        "one = net(x)\ntwo = net(x + 1)\none.backward()\nopt.step()\ntwo.backward()",
        "two = net(x + 1)\ntwo.backward()",
    ),
    "a carried state": (
        "cell = nn.RNNCell(3, 3)\nh = torch.zeros(1, 3)\nfor t in range(3):\n"
        "    h = cell(torch.ones(1, 3), h)\n    h.sum().backward()",
        "    h.sum().backward()\n    h = h.detach()",
    ),
    "a state of two": (
        "cell = nn.LSTM(3, 3)\nstate = None\nfor t in range(3):\n"
        "    out, state = cell(torch.ones(1, 1, 3), state)\n    out.sum().backward()",
        "    out.sum().backward()\n    state = tuple(one.detach() for one in state)",
    ),
    "a graph that nobody writes to": (
        "y = torch.exp(x)\ny.sum().backward()\ny.mean().backward()",
        "y.sum().backward(retain_graph=True)",
    ),
    "both of two faults": (
        "h = torch.exp(x)\nh.mul_(2)\nk = torch.sigmoid(x)\nk.mul_(3)\n(h + k).sum().backward()",
        "h = h.mul(2)\nk = torch.sigmoid(x)\nk = k.mul(3)",
    ),
    "all updates of a view": (
        "b = w.view(3, 1)\nb[0] = 1\nb[1:] += 2",
        "with torch.no_grad():\n    b[0] = 1\n    b[1:] += 2",
    ),
    "rows of a tensor": (
        "t = x * torch.ones(2, 3)\nfor row in t:\n    row /= row.norm()\nt.sum().backward()",
        "t = torch.stack([row / row.norm() for row in t])",
    ),
}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_is_known_to_mend_is_shown(name: str) -> None:
    """And it is said that it fits the recording."""
    text, good = GOOD[name]

    report = record_text(LEAVES + text).report

    assert report.findings[0].rewrite is not None
    assert report.findings[0].rewrite.new == good
    assert report.findings[0].basis == "recording"

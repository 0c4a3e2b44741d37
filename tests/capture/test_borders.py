"""Bugs whose parts lie in different windows of a recording, and sound twins: found as in a recording of every call."""

from __future__ import annotations

import pytest

from tests.recording import record_text
from tests.windows import in_windows

HEAD = """
import threading
import numpy
torch.manual_seed(0)
def wait():
    for _ in range(6):
        other = torch.ones(3) * 2
def by(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()
"""
NET = """
net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
data = torch.randn(6, 4)
"""

# Of each pair the first has a bug, and the second none.
PAIRS = {
    "saved, overwritten, gone back through": (
        """
w = torch.ones(3, requires_grad=True)
h = w.exp()
wait()
h.mul_(2)
wait()
h.sum().backward()
""",
        """
w = torch.ones(3, requires_grad=True)
h = w.exp()
wait()
h = h * 2
wait()
h.sum().backward()
""",
    ),
    "a gradient that is cleared before each step": (
        NET
        + """
for i in range(6):
    loss = net(data).pow(2).mean()
    loss.backward()
    wait()
    opt.zero_grad()
    opt.step()
""",
        NET
        + """
for i in range(6):
    loss = net(data).pow(2).mean()
    loss.backward()
    wait()
    opt.step()
    opt.zero_grad()
""",
    ),
    "each backward but the last is dropped": (
        NET
        + """
for i in range(12):
    opt.zero_grad()
    loss = net(data).pow(2).mean() / 4
    loss.backward()
    if i % 4 == 3:
        opt.step()
""",
        NET
        + """
for i in range(12):
    loss = net(data).pow(2).mean() / 4
    loss.backward()
    if i % 4 == 3:
        opt.step()
        opt.zero_grad()
""",
    ),
    "a write through data": (
        """
w = torch.ones(3, requires_grad=True)
h = w.sigmoid()
wait()
h.data.mul_(2)
wait()
h.sum().backward()
""",
        """
w = torch.ones(3, requires_grad=True)
h = w.sigmoid()
wait()
copy = h.data.clone()
copy.mul_(2)
wait()
h.sum().backward()
""",
    ),
    "a write of a thread": (
        """
w = torch.rand(3, requires_grad=True)
h = torch.tanh(w)
wait()
by(lambda: h.data.mul_(0.5))
wait()
h.sum().backward()
""",
        """
w = torch.rand(3, requires_grad=True)
h = torch.tanh(w)
wait()
by(lambda: h.data.clone().mul_(0.5))
wait()
h.sum().backward()
""",
    ),
    "a view of the first window": (
        """
def scale(x):
    return torch.sqrt(x)
class State:
    pass
state = State()
w = torch.rand(4, 3, requires_grad=True)
state.out = scale(w + 1)
state.row = state.out[0]
wait()
wait()
state.row.zero_()
wait()
state.out.sum().backward()
""",
        """
def scale(x):
    return torch.sqrt(x)
class State:
    pass
state = State()
w = torch.rand(4, 3, requires_grad=True)
state.out = scale(w + 1)
state.row = state.out[0].clone()
wait()
wait()
state.row.zero_()
wait()
state.out.sum().backward()
""",
    ),
    "a hook that writes": (
        """
w = torch.rand(3, requires_grad=True)
kept = []
h = w.exp()
wait()
out = h * 2
out.register_hook(lambda gradient: kept.append(h.mul_(3)))
wait()
out.sum().backward()
""",
        """
w = torch.rand(3, requires_grad=True)
kept = []
h = w.exp()
wait()
out = h * 2
out.register_hook(lambda gradient: kept.append(gradient * 3))
wait()
out.sum().backward()
""",
    ),
    "an optimizer of the first window over a layer that was replaced": (
        NET
        + """
for i in range(3):
    opt.zero_grad()
    net(data).pow(2).mean().backward()
    opt.step()
wait()
net[2] = nn.Linear(8, 1)
wait()
for i in range(4):
    opt.zero_grad()
    net(data).pow(2).mean().backward()
    opt.step()
""",
        NET
        + """
for i in range(3):
    opt.zero_grad()
    net(data).pow(2).mean().backward()
    opt.step()
wait()
net[2] = nn.Linear(8, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
wait()
for i in range(4):
    opt.zero_grad()
    net(data).pow(2).mean().backward()
    opt.step()
""",
    ),
    "a generator that gives out one tensor": (
        """
def batches():
    out = torch.empty(3)
    while True:
        yield out.uniform_()
w = torch.ones(3, requires_grad=True)
source = batches()
total = 0
for _ in range(5):
    total = total + (w * next(source)).sum()
    wait()
total.backward()
""",
        """
def batches():
    out = torch.empty(3)
    while True:
        yield out.uniform_().clone()
w = torch.ones(3, requires_grad=True)
source = batches()
total = 0
for _ in range(5):
    total = total + (w * next(source)).sum()
    wait()
total.backward()
""",
    ),
    "a buffer that a module updates": (
        """
class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.register_buffer("scale", torch.ones(3))
    def forward(self, x):
        self.scale.mul_(0.9)
        return self.weight * x * self.scale
layer = Scaled()
first = layer(torch.rand(3))
wait()
second = layer(torch.rand(3))
wait()
(first + second).sum().backward()
""",
        """
class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.register_buffer("scale", torch.ones(3))
    def forward(self, x):
        self.scale = self.scale * 0.9
        return self.weight * x * self.scale
layer = Scaled()
first = layer(torch.rand(3))
wait()
second = layer(torch.rand(3))
wait()
(first + second).sum().backward()
""",
    ),
    "a graph that is retained": (
        """
w = torch.ones(3, requires_grad=True)
h = w.tanh()
loss = h.sum()
loss.backward(retain_graph=True)
wait()
h += 1
wait()
loss.backward()
""",
        """
w = torch.ones(3, requires_grad=True)
h = w.tanh()
loss = h.sum()
loss.backward(retain_graph=True)
wait()
h = h + 1
wait()
loss.backward()
""",
    ),
    "a step between forward and backward": (
        NET
        + """
loss = net(data).pow(2).mean()
loss.backward(retain_graph=True)
wait()
opt.step()
wait()
loss.backward()
""",
        NET
        + """
loss = net(data).pow(2).mean()
loss.backward(retain_graph=True)
wait()
opt.step()
wait()
loss = net(data).pow(2).mean()
loss.backward()
""",
    ),
    "losses as numbers": (
        """
w = torch.ones(3, requires_grad=True)
losses = []
for _ in range(4):
    losses.append((w * torch.rand(3)).sum().item())
    wait()
loss = torch.tensor(losses).mean()
wait()
loss.backward()
""",
        """
w = torch.ones(3, requires_grad=True)
losses = []
for _ in range(4):
    losses.append((w * torch.rand(3)).sum())
    wait()
loss = torch.stack(losses).mean()
wait()
loss.backward()
""",
    ),
    "a gradient that is kept": (
        NET
        + """
net(data).sum().backward()
before = net[0].weight.grad
wait()
net(data).pow(2).sum().backward()
wait()
print((net[0].weight.grad - before).norm())
""",
        NET
        + """
net(data).sum().backward()
before = net[0].weight.grad.clone()
wait()
net(data).pow(2).sum().backward()
wait()
print((net[0].weight.grad - before).norm())
""",
    ),
    "an array of the first window": (
        """
def main():
    w = torch.ones(3, requires_grad=True)
    array = numpy.ones(3, dtype="float32")
    x = torch.from_numpy(array)
    wait()
    y = (w * x).sum()
    wait()
    array *= 0
    wait()
    y.backward()
main()
""",
        """
def main():
    w = torch.ones(3, requires_grad=True)
    array = numpy.ones(3, dtype="float32")
    x = torch.from_numpy(array.copy())
    wait()
    y = (w * x).sum()
    wait()
    array *= 0
    wait()
    y.backward()
main()
""",
    ),
}
Finding = tuple[str, tuple[int, ...], int | None]


def whole(text: str) -> tuple[set[Finding], str]:
    """What a recording of every call tells aloud, and the error that ended it."""
    found = record_text(text)
    told = {
        (one.kind, tuple(p.position.line for p in one.culprits), one.victim and one.victim.place.position.line)
        for one in found.report.findings
        if one.severity != "info"
    }
    return told, repr(found.error)


@pytest.mark.one_of(2)
@pytest.mark.parametrize("window", [5, 9])
@pytest.mark.parametrize("name", PAIRS)
def test_a_bug_over_borders_is_found_as_in_a_whole_recording(name: str, window: int) -> None:
    """The same kinds, culprits and victims, wherever the window ends."""
    text = HEAD + PAIRS[name][0]
    expected, error = whole(text)

    found = in_windows(text, window)

    assert expected
    assert found.lines("error", "warning") == expected
    assert repr(found.error) == error
    assert len(found.windows) > 2


@pytest.mark.one_of(2)
@pytest.mark.parametrize("window", [5, 9])
@pytest.mark.parametrize("name", PAIRS)
def test_its_sound_twin_is_left_in_peace(name: str, window: int) -> None:
    """No border makes a bug of it."""
    text = HEAD + PAIRS[name][1]

    found = in_windows(text, window)

    assert whole(text)[0] == set()
    assert found.lines("error", "warning") == set()
    assert found.error is None
    assert found.told["complete"] is True

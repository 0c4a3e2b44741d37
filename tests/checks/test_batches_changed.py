"""Batches that are parts of data, changed in place again in each pass; and the sound twins."""

from __future__ import annotations

import pytest

from inplace.checks.shared_reference import SharedReference
from tests.checks.forms import marked
from tests.recording import record_text

DATA = """
data, labels = torch.rand(8, 2, 3), torch.rand(8, 1)
net = nn.Sequential(nn.Flatten(), nn.Linear(6, 1))
def batches(x, y, n):
    for i in range(0, len(x), n):
        yield x[i : i + n], y[i : i + n]  # K
"""
LOOP = """
for epoch in range(2):
    for x, y in batches(data, labels, 4):
        {line}
        (net(x) - y).pow(2).mean().backward()
"""
# The line that takes the part is marked with `# K`, the one that changes it with `# W`.
TOLD = {
    "divided where it is taken": DATA + LOOP.format(line="x /= 255  # W"),
    "normalised by a function, channel by channel": DATA
    + """
def normalise(batch, mean):
    for c in range(batch.size(1)):
        batch[:, c].sub_(mean[c])  # W
    return batch
"""
    + LOOP.format(line="x = normalise(x, (0.5, 0.4))"),
    "scaled by a tensor that stays the same": DATA
    + "scale = torch.full((3,), 2.0)\n"
    + LOOP.format(line="x *= scale  # W"),
    "noise that is drawn anew": DATA + LOOP.format(line="x += 0.1 * torch.randn_like(x)  # W"),
    "noise of an empty tensor, in a function": DATA
    + "def jitter(x):\n    return x.add_(torch.empty_like(x).uniform_(-1, 1)).clamp_(0, 1)  # W\n"
    + LOOP.format(line="x = jitter(x)"),
    "taken in a loop": """
data, labels = torch.rand(8, 3), torch.rand(8, 1)
net = nn.Linear(3, 1)
for epoch in range(2):
    for i in range(0, 8, 4):
        x, y = data[i : i + 4], labels[i : i + 4]  # K
        x += 0.1 * torch.randn_like(x)  # W
        (net(x) - y).pow(2).mean().backward()
""",
    "taken one below the other, in a function": """
def fit(net, data, labels):
    for i in range(0, 8, 4):
        x = data[i : i + 4]  # K
        y = labels[i : i + 4]
        x.div_(255)  # W
        (net(x) - y).pow(2).mean().backward()
data, labels, net = torch.rand(8, 3), torch.rand(8, 1), nn.Linear(3, 1)
for epoch in range(2):
    fit(net, data, labels)
""",
    "returned by a method": """
class Data:
    def __init__(self):
        self.x, self.y = torch.rand(8, 3), torch.rand(8, 1)
    def batch(self, k):
        return self.x[4 * k : 4 * k + 4], self.y[4 * k : 4 * k + 4]  # K
net, data = nn.Linear(3, 1), Data()
for epoch in range(2):
    for k in range(2):
        x, y = data.batch(k)
        x = x.sub_(0.5)  # W
        (net(x) - y).pow(2).mean().backward()
""",
    "given out by an object": """
class Loader:
    def __init__(self):
        self.x, self.y = torch.rand(8, 3), torch.rand(8, 1)
    def __iter__(self):
        for i in range(0, 8, 4):
            yield self.x[i : i + 4], self.y[i : i + 4]  # K
net = nn.Linear(3, 1)
loader = Loader()
for epoch in range(2):
    for x, y in loader:
        x.sub_(0.5)  # W
        (net(x) - y).pow(2).mean().backward()
""",
}
SOUND = {
    "changed out of place": DATA + LOOP.format(line="x = x / 255"),
    "a copy": DATA + LOOP.format(line="x = x.clone().div_(255)"),
    "one pass": DATA + LOOP.format(line="x /= 255").replace("range(2)", "range(1)"),
    "shuffled, and so copied": DATA.replace("x[i : i + n], y[i : i + n]", "x[[i, i + 1]], y[[i, i + 1]]")
    + LOOP.format(line="x /= 255"),
    "filled anew in each epoch": DATA
    + LOOP.format(line="x /= 255").replace("    for x, y", "    data.uniform_()\n    for x, y", 1),
    "a state that decays and is moved": """
state, data = torch.zeros(8, 3), torch.rand(8, 3)
def pairs(s, d):
    for i in range(0, 8, 4):
        yield s[i : i + 4], d[i : i + 4]
for epoch in range(3):
    for s, d in pairs(state, data):
        s.mul_(0.9)
        s += 0.1 * d
print(state.sum() > 0)
""",
    "positions and velocities": """
places, speeds = torch.rand(8, 3), torch.rand(8, 3)
for step in range(3):
    for i in range(0, 8, 4):
        p, v = places[i : i + 4], speeds[i : i + 4]
        p.add_(v)
        v.mul_(0.9)
""",
    "positions and velocities that a network is given": """
places, speeds, net = torch.rand(8, 3), torch.rand(8, 3), nn.Linear(3, 1)
for step in range(3):
    for i in range(0, 8, 4):
        p, v = places[i : i + 4], speeds[i : i + 4]
        p.add_(v)
        v.mul_(0.9)
        net(v).sum().backward()
""",
    "a buffer that is filled in each turn": """
images, labels, raw = torch.rand(8, 3), torch.rand(8, 1), torch.rand(8, 3)
net = nn.Linear(3, 1)
for epoch in range(3):
    for i in range(0, 8, 4):
        x, y = images[i : i + 4], labels[i : i + 4]
        x.copy_(raw[i : i + 4])
        x.div_(255)
        (net(x) - y).pow(2).mean().backward()
""",
    "batches of a permutation": """
data, labels = torch.rand(8, 3), torch.rand(8, 1)
net = nn.Linear(3, 1)
for epoch in range(2):
    order = torch.randperm(8)
    for i in range(0, 8, 4):
        x, y = data[order[i : i + 4]], labels[order[i : i + 4]]
        x += 0.1 * torch.randn_like(x)
        (net(x) - y).pow(2).mean().backward()
""",
    "states that are masked by what is done": """
states, done = torch.rand(8, 3), torch.rand(3, 8, 1)
inputs, cell = torch.rand(8, 2), nn.GRUCell(2, 3)
for step in range(3):
    for i in range(0, 8, 4):
        h = states[i : i + 4]
        x = inputs[i : i + 4]
        h.mul_(done[step, i : i + 4])
        states[i : i + 4] = cell(x, h).detach()
""",
    "noise that is added out of place": DATA + LOOP.format(line="x = x + 0.1 * torch.randn_like(x)"),
    "noise, and data that is filled anew": DATA
    + LOOP.format(line="x += torch.randn_like(x)").replace("    for x, y", "    data.uniform_()\n    for x, y", 1),
    "samples that noise and a gradient move": """
data, labels = torch.rand(8, 3), torch.rand(8, 1)
net = nn.Linear(3, 1)
def batches(x, y):
    for i in range(0, 8, 4):
        yield x[i : i + 4], y[i : i + 4]
for epoch in range(3):
    for x, y in batches(data, labels):
        leaf = x.clone().requires_grad_()
        (net(leaf) - y).pow(2).mean().backward()
        x.sub_(0.1 * leaf.grad)
        x.add_(0.01 * torch.randn(4, 3))
""",
    "a walk of rows": """
field = torch.rand(8, 3)
def rows(x):
    for i in range(8):
        yield x[i]
for epoch in range(3):
    for row in rows(field):
        row.add_(torch.randn(3))
print(field.sum())
""",
    "rows of one field": """
field = torch.rand(8, 3)
def rows(x):
    for i in range(8):
        yield x[i]
for epoch in range(3):
    for row in rows(field):
        row.mul_(0.9)
print(field.sum() > 0)
""",
}


def _warned(text: str) -> list[SharedReference]:
    ran = record_text(text.strip("\n") + "\n")
    assert ran.error is None
    return [one for one in ran.report.of_type(SharedReference) if one.severity == "warning"]


@pytest.mark.parametrize("name", TOLD)
def test_a_batch_that_is_changed_again_is_told(name: str) -> None:
    """The line that changes it, and the one that gave it out."""
    text = TOLD[name].strip("\n")

    (found,) = _warned(text)

    lines = {place.position.line for place in found.culprits}
    assert lines == marked(text, "W") | marked(text, "K")


@pytest.mark.parametrize("name", SOUND)
def test_what_may_be_meant_is_left_in_peace(name: str) -> None:
    """Copies, data that is filled anew, states that move, and one pass."""
    assert _warned(SOUND[name]) == []

"""Tensors that are changed in place for others: items of data sets, results that a function keeps, detached names."""

from __future__ import annotations

import pytest

from inplace.checks.shared_reference import SharedReference
from tests.checks.forms import marked
from tests.recording import record_text

HEAD = """
import functools
from torch.utils.data import DataLoader, Dataset, TensorDataset
torch.manual_seed(0)
net = nn.Linear(3, 2)
class Rows(Dataset):
    def __init__(self, rows):
        self.rows = rows
    def __len__(self):
        return len(self.rows)
    def __getitem__(self, i):
        return self.rows[i]
"""

# The line that wrote is marked with `# W`; nobody can have meant it.
WARNED = {
    "items of a data set of PyTorch's, in a function": """
def jitter(x):
    x.add_(0.3 * torch.randn(1))  # W
    return x
data = TensorDataset(torch.randn(4, 3), torch.arange(4))
for epoch in range(2):
    for i in range(4):
        x, label = data[i]
        print(net(jitter(x)).sum())
""",
    "items that a data set keeps in a list, changed by who takes them": """
rows = Rows([torch.rand(3) * 255 for _ in range(3)])
for epoch in range(2):
    for x in rows:
        x.div_(255)  # W
        print(net(x).sum())
""",
    "items that noise is added to, and that are clamped": """
rows = Rows([torch.rand(3) for _ in range(3)])
for epoch in range(2):
    for x in DataLoader(rows, batch_size=None):
        x.add_(torch.randn(3), alpha=0.1).clamp_(0, 1)  # W
        print(net(x).sum())
""",
    "pairs of a class that is a data set by its methods, in a function": """
class Pairs:
    def __init__(self, n):
        self.pairs = [(torch.rand(3) * 255, i % 2) for i in range(n)]
    def __len__(self):
        return len(self.pairs)
    def __getitem__(self, i):
        if i >= len(self):
            raise IndexError
        return self.pairs[i]
def train(data, epochs):
    for epoch in range(epochs):
        for number, (x, label) in enumerate(data):
            x -= 127.5  # W
            print(net(x)[label])
train(Pairs(3), 2)
""",
    "items of a list by a loader that makes no batches": """
mean = torch.rand(3)
loader = DataLoader(Rows([torch.rand(3) for _ in range(3)]), batch_size=None, shuffle=True)
def main():
    for epoch in range(2):
        for x in loader:
            x.sub_(mean)  # W
            print(net(x).sum())
main()
""",
    "items of a list by their numbers": """
rows = Rows([torch.rand(3) for _ in range(3)])
for epoch in range(2):
    for i in range(len(rows)):
        x = rows[i]
        x.mul_(2).sub_(1)  # W
        print(net(x).sum())
""",
    "items that a loop normalises": """
data = TensorDataset(torch.rand(4, 3) + 1)
for epoch in range(2):
    for i in range(len(data)):
        (row,) = data[i]
        row -= row.mean()  # W
        print(net(row).sum())
""",
    "items of a data set of the user's": """
rows = Rows(torch.rand(4, 3))
def epoch():
    for i in range(len(rows)):
        item = rows[i]
        item.mul_(2).sub_(1)  # W
        print(net(item).sum())
epoch()
epoch()
""",
    "parts of items that a function blanks before it joins them": """
def collate(batch):
    for one in batch:
        one[torch.rand(len(one)) < 0.5] = 0.0  # W
    return torch.stack(batch)
loader = DataLoader(Rows([torch.rand(6, 3) + 1 for _ in range(4)]), batch_size=2, collate_fn=collate)
for epoch in range(3):
    for x in loader:
        print(net(x).sum())
""",
    "a mask that a function keeps": """
@functools.lru_cache
def causal(n):
    return torch.tril(torch.ones(n, n))
def attend(scores, length):
    mask = causal(scores.size(0))
    mask[:, length:] = 0  # W
    return scores.masked_fill(mask == 0, -9.0).softmax(-1)
for length in (2, 4):
    print(attend(torch.rand(4, 4), length))
""",
    "a table that a function keeps, in a class": """
class Encoding(nn.Module):
    @staticmethod
    @functools.cache
    def table(n):
        return torch.arange(n * 3).float().view(n, 3)
    def forward(self, x):
        table = self.table(len(x))
        table += x  # W
        return table
model = Encoding()
for _ in range(2):
    print(model(torch.rand(4, 3)))
""",
}
# It may be meant: told without alarm.
INFORMED = {
    "targets that a function smooths once more in each turn": """
def smooth(target):
    target *= 0.9  # W
    return target
y = torch.eye(2)
for _ in range(3):
    print((smooth(y) * net(torch.rand(2, 3))).sum())
""",
    "images that an attack adds noise to": """
def attack(images):
    adv = images.detach()
    adv.add_(0.1)  # W
    return adv
x = torch.rand(2, 3)
print(net(attack(x)).sum())
print(net(x).sum())
""",
    "a buffer that is clamped by another name": """
state = torch.randn(4)
clean = state.detach()
clean.clamp_(-0.1, 0.1)  # W
print((state * 2).sum(), clean.sum())
""",
}

SOUND = {
    "items that are cloned": """
data = TensorDataset(torch.rand(4, 3) + 1)
for epoch in range(2):
    for i in range(len(data)):
        row = data[i][0].clone()
        row -= row.mean()
        print(net(row).sum())
""",
    "items of a list that a data set copies": """
class Copies(Rows):
    def __len__(self):
        return len(self.rows)
    def __getitem__(self, i):
        return self.rows[i].clone()
rows = Copies([torch.rand(3) for _ in range(3)])
for epoch in range(2):
    for x in rows:
        x.div_(255)
        print(net(x).sum())
""",
    "items that noise is added to out of place": """
rows = Rows([torch.rand(3) for _ in range(3)])
for epoch in range(2):
    for x in DataLoader(rows, batch_size=None):
        x = x.add(torch.randn(3), alpha=0.1).clamp_(0, 1)
        print(net(x).sum())
""",
    "items of a list that are changed once": """
rows = Rows([torch.rand(3) for _ in range(3)])
for x in rows:
    x.div_(255)
for epoch in range(2):
    for x in rows:
        print(net(x).sum())
""",
    "items of a list that a loop changes several times in one turn": """
rows = Rows([torch.rand(3) for _ in range(3)])
for x in rows:
    for _ in range(3):
        x.mul_(0.5)
    print(net(x).sum())
""",
    "targets that a data set keeps, moved towards what is predicted": """
rows = Rows([torch.rand(2) for _ in range(3)])
inputs = torch.rand(3, 3)
for epoch in range(2):
    for number, target in enumerate(rows):
        target.mul_(0.9).add_(net(inputs[number]).detach(), alpha=0.1)
        print(target.sum())
""",
    "traces in a list that decay": """
traces = [torch.ones(3) for _ in range(3)]
rows = Rows(list(torch.rand(3, 3)))
for epoch in range(2):
    for trace, x in zip(traces, rows):
        trace.mul_(0.9)
        print((net(x).sum() * trace).sum())
""",
    "a data set that is normalised once": """
data = TensorDataset(torch.rand(4, 3) + 1)
for i in range(len(data)):
    data[i][0].sub_(1)
for epoch in range(2):
    for i in range(len(data)):
        print(net(data[i][0]).sum())
""",
    "a memory whose rows are moved": """
class Bank:
    def __init__(self):
        self.rows = torch.zeros(4, 3)
    def __getitem__(self, i):
        return self.rows[i]
bank = Bank()
for turn in range(3):
    for i in range(4):
        bank[i].mul_(0.9).add_(torch.rand(3), alpha=0.1)
        print(net(bank[i]).sum())
""",
    "batches that are changed in place": """
data = TensorDataset(torch.rand(4, 3))
for epoch in range(2):
    for (x,) in DataLoader(data, batch_size=2):
        x += 0.1 * torch.randn_like(x)
        print(net(x).sum())
""",
    "items that are padded alike each time": """
def collate(batch):
    for one in batch:
        one[4:] = 0.0
    return torch.stack(batch)
loader = DataLoader(Rows([torch.rand(6, 3) + 1 for _ in range(4)]), batch_size=2, collate_fn=collate)
for epoch in range(3):
    for x in loader:
        print(net(x).sum())
""",
    "a buffer that a collating function fills anew": """
buffer = torch.zeros(2, 3)
def collate(batch):
    out = buffer
    out[torch.rand(2) < 0.5] = 0.0
    out[:] = torch.stack(batch)
    return out
loader = DataLoader(list(torch.rand(4, 3)), batch_size=2, collate_fn=collate)
for epoch in range(3):
    for x in loader:
        print(net(x).sum())
""",
    "a mask that a function keeps, and that is copied": """
@functools.lru_cache
def causal(n):
    return torch.tril(torch.ones(n, n))
for length in (2, 4):
    mask = causal(4).clone()
    mask[:, length:] = 0
    print(mask.sum())
""",
    "a function that makes its mask each time": """
def causal(n):
    return torch.tril(torch.ones(n, n))
for length in (2, 4):
    mask = causal(4)
    mask[:, length:] = 0
    print(mask.sum())
""",
    "two names for one policy, of which one draws the actions": """
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for turn in range(3):
    behaviour = net
    x = torch.rand(5, 3)
    with torch.no_grad():
        actions = torch.distributions.Categorical(logits=behaviour(x)).sample()
    loss = -torch.distributions.Categorical(logits=net(x)).log_prob(actions).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
}

# Nothing at all is told.
SILENT = {
    "a state that a function decays": """
def decay(h):
    h *= 0.9
    return h
h = torch.ones(3)
for _ in range(3):
    h = decay(h)
    print(h)
""",
    "an update by a statement": """
def decay(h):
    h *= 0.9
    return h
h = torch.ones(3)
for _ in range(3):
    decay(h)
    print(h)
""",
    "a detached result that is written and read itself": """
h = net(torch.rand(2, 3))
mask = h.detach().clone()
mask[:, 0] = 0
print((h * mask).sum())
""",
}


def _shared(text: str) -> list[SharedReference]:
    return record_text((HEAD + text).strip("\n") + "\n").report.of_type(SharedReference)


@pytest.mark.parametrize("name", WARNED)
def test_it_is_told(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One warning names the line that wrote, and nothing else is alarmed."""
    line = marked((HEAD + WARNED[name]).strip("\n"), "W")

    found = [one for one in _shared(WARNED[name]) if one.severity != "info"]

    assert len(found) == 1
    assert line <= {place.position.line for place in found[0].culprits}
    capsys.readouterr()


@pytest.mark.parametrize("name", INFORMED)
def test_what_may_be_meant_is_told_without_alarm(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A note names the line that wrote."""
    line = marked((HEAD + INFORMED[name]).strip("\n"), "W")

    (found,) = _shared(INFORMED[name])

    assert found.severity == "info"
    assert line <= {place.position.line for place in found.culprits}
    capsys.readouterr()


@pytest.mark.parametrize("name", SOUND)
def test_sound_code_is_quiet(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No alarm where a copy is changed, where it is done once, or where it is made anew."""
    ran = record_text((HEAD + SOUND[name]).strip("\n") + "\n")

    assert ran.error is None
    assert [one for one in ran.report.findings if one.severity != "info"] == []
    capsys.readouterr()


@pytest.mark.parametrize("name", SILENT)
def test_nothing_is_told(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even without alarm, where the name is meant to stand for what was changed."""
    assert _shared(SILENT[name]) == []
    capsys.readouterr()


def test_a_backward_reads_no_values_of_its_root() -> None:
    """Whatever was written into it by then: the gradient begins with one."""
    text = "w = torch.ones(3, requires_grad=True)\nloss = (w * 2).sum()\nlogged = loss.detach()\nlogged.div_(3)\n"

    assert [one.how for one in _shared(text + "loss.backward()")] == ["snapshot"]
    assert [one.how for one in _shared(text + "print(loss.item())")] == ["kept"]

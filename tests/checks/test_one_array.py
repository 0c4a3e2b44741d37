"""Tensors that a loop makes over one array and keeps: each shows what the array was given last."""

from __future__ import annotations

import pytest

from inplace.checks.shared_reference import SharedReference
from inplace.render.words.telling import message
from tests.checks.forms import marked
from tests.recording import record_text

HEAD = """
import numpy as np
net = nn.Linear(3, 1)
data = np.arange(24, dtype=np.float32).reshape(8, 3)
"""

# The line that makes the tensors is marked with `# K`, the one that is given them with `# R`.
KEPT = {
    "batches of a generator, in a list": """
def batches(size):
    buffer = np.empty((size, 3), dtype=np.float32)
    for i in range(0, 8, size):
        buffer[:] = data[i : i + size]
        yield torch.from_numpy(buffer)  # K
kept = list(batches(2))
for x in kept:
    net(x).sum().backward()  # R
""",
    "states of an environment": """
class World:
    def __init__(self):
        self.state = np.zeros(3, dtype=np.float32)
    def step(self, a):
        self.state += a
        return self.state
def roll(world):
    seen = []
    for t in range(5):
        state = torch.from_numpy(world.step(t))  # K
        seen.append(state)
    return seen
loss = sum(net(one).sum() for one in roll(World()))  # R
loss.backward()
""",
    "a comprehension": """
row = np.zeros(3, dtype=np.float32)
def fill(i):
    np.copyto(row, data[i])
    return row
rows = {i: torch.from_numpy(fill(i)) for i in range(4)}  # K
print([one.sum().item() for one in rows.values()])  # R
""",
}
SOUND = {
    "copies": """
buffer = np.empty((2, 3), dtype=np.float32)
kept = []
for i in range(0, 8, 2):
    buffer[:] = data[i : i + 2]
    kept.append(torch.tensor(buffer))
for x in kept:
    net(x).sum().backward()
""",
    "one behind the other": """
buffer = np.empty((2, 3), dtype=np.float32)
for i in range(0, 8, 2):
    buffer[:] = data[i : i + 2]
    x = torch.from_numpy(buffer)
    net(x).sum().backward()
""",
    "parts of one array": """
kept = []
for i in range(0, 8, 2):
    kept.append(torch.from_numpy(data[i : i + 2]))
for x in kept:
    net(x).sum().backward()
""",
    "one tensor, given again and again": """
x = torch.from_numpy(data)
for _ in range(4):
    net(x).sum().backward()
""",
    "a constant that several objects have": """
class Shift(nn.Module):
    def __init__(self):
        super().__init__()
        self.shift = torch.from_numpy(data[0])
    def forward(self, x):
        return x + self.shift
layers = nn.Sequential(*[Shift() for _ in range(4)])
net(layers(torch.ones(2, 3))).sum().backward()
""",
}


def _shared(text: str) -> list[SharedReference]:
    ran = record_text((HEAD + text).strip("\n") + "\n")
    assert ran.error is None
    return ran.report.of_type(SharedReference)


@pytest.mark.parametrize("name", KEPT)
def test_what_lived_at_once_is_told(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A note names the line that makes them, and one that was given each."""
    text = (HEAD + KEPT[name]).strip("\n")

    (found,) = _shared(KEPT[name])

    assert (found.how, found.severity) == ("array", "info")
    assert {place.position.line for place in found.culprits} == marked(text, "K")
    assert found.victim is not None
    assert found.victim.place is not None
    assert {found.victim.place.position.line} == marked(text, "R")
    capsys.readouterr()


@pytest.mark.parametrize("name", SOUND)
def test_nothing_is_told_of_others(name: str) -> None:
    """Neither of copies, nor where one only is there at a time, nor of other bytes, nor of what is made by objects."""
    assert _shared(SOUND[name]) == []


def test_the_sentences() -> None:
    """They say what was seen, and what that means."""
    text = (HEAD + KEPT["batches of a generator, in a list"]).strip("\n") + "\n"
    ran = record_text(text)
    (found,) = ran.report.of_type(SharedReference)

    assert message(found, ran.trace).splitlines() == [
        "line 9: torch.from_numpy(buffer) makes tensors over one array, and several of them lived at once.",
        "line 12 (net(x)) was given each of them: what is written into the array shows in all.",
        "Make each its own: torch.tensor(array), or torch.from_numpy(array.copy()).",
    ]


# ---------------------------------------------------------------- one for each of several lines

ROLLOUT = """
import numpy as np
class Env:
    def __init__(self):
        self.obs = np.zeros(3, np.float32)
    def step(self, a):
        self.obs += a  # W
        return self.obs
class Buffer:
    def __init__(self):
        self.obs = []
    def store(self, obs):
        self.obs.append({kept})
env, buffer, pi = Env(), Buffer(), nn.Linear(3, 1)
for t in range(3):
    obs = env.step(t)
    pi(torch.as_tensor(obs))
    buffer.store(obs)
pi(torch.stack(buffer.obs)).sum().backward()
"""


def _warned(text: str) -> list[SharedReference]:
    found = record_text(text).report.findings
    return [one for one in found if isinstance(one, SharedReference) and one.severity == "warning"]


def test_items_that_were_collected_while_their_array_was_seen_to_change_are_a_warning() -> None:
    """The line that changed the array is named, and its tensors are to be copies of it."""
    text = ROLLOUT.format(kept="torch.as_tensor(obs)")

    (found,) = _warned(text)

    lines = text.strip("\n").splitlines()
    assert lines[found.culprits[0].position.line - 1].endswith("# W")
    assert "torch.tensor(array)" in message(found, record_text(text).trace)


def test_copies_of_the_array_are_left_in_peace() -> None:
    """A tensor with bytes of its own stays what it was."""
    assert _warned(ROLLOUT.format(kept="torch.tensor(obs)")) == []

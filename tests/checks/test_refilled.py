"""Tensors that a loop makes over one array which it fills anew: joined, or read behind it, they are all the last."""

from __future__ import annotations

import pytest

from inplace.checks.shared_reference import SharedReference
from inplace.fixes.editing import applied
from inplace.render.words.telling import message
from tests.checks.forms import marked
from tests.recording import record_text

HEAD = """
import numpy as np
from dataclasses import dataclass
__name__ = '__main__'
net = nn.Linear(3, 1)
rng = np.random.default_rng(0)
"""

# The line that fills is marked with `# F`, the one that makes the tensors with `# K`, the one that reads with `# R`.
BUGS = {
    "frames that are stacked": """
buf = np.zeros(3, dtype=np.float32)
frames = []
for t in range(5):
    buf[:] = rng.normal(size=3)  # F
    frames.append(torch.from_numpy(buf))  # K
loss = net(torch.stack(frames)).mean()  # R
loss.backward()
""",
    "a replay that is sampled from": """
@dataclass
class Step:
    obs: torch.Tensor
    reward: float
class Replay:
    def __init__(self):
        self.steps, self.obs = [], np.zeros(3, dtype=np.float32)
    def collect(self, n):
        for t in range(n):
            np.copyto(self.obs, rng.normal(size=3))  # F
            obs = torch.as_tensor(self.obs)  # K
            self.steps.append(Step(obs, float(t)))
    def batch(self):
        return torch.stack([one.obs for one in self.steps])  # R
replay = Replay()
replay.collect(4)
net(replay.batch()).sum().backward()
""",
    "a function that fills what it is given": """
def measure(out, scale):
    out[...] = rng.normal(size=3) * scale
def sample(n):
    row, rows = np.empty(3, dtype=np.float32), {}
    for i in range(n):
        if i:
            pass
        measure(row, i)  # F
        rows[i] = torch.from_numpy(row)  # K
    return rows
rows = sample(3)
for key, x in rows.items():
    net(x).sum().backward()  # R
""",
    "out=, in a while": """
buf, kept, n = np.zeros((2, 3), dtype=np.float32), [], 0
while n < 3:
    rng.random(dtype=np.float32, out=buf)  # F
    n += 1
    kept.append((torch.from_numpy(buf), n))  # K
batch = torch.cat([x for x, _ in kept])  # R
net(batch).sum().backward()
""",
    "added to": """
state, seen = np.zeros(3, dtype=np.float32), []
for action in range(4):
    state += action  # F
    seen.append(torch.from_numpy(state))  # K
returns = [net(one).sum() for one in seen]  # R
sum(returns).backward()
""",
    "as_tensor, read one by one": """
buf, seen = np.zeros(3, dtype=np.float32), []
for action in range(4):
    buf.fill(action)  # F
    seen.append(torch.as_tensor(buf))  # K
for x in seen:
    net(x).sum().backward()  # R
""",
    "filled behind": """
frame, frames = np.ones(3, dtype=np.float32), []
for t in range(4):
    frames.append(torch.from_numpy(frame))  # K
    frame *= 0.5  # F
net(torch.stack(frames)).sum().backward()  # R
""",
}
SOUND = {
    "copies": BUGS["frames that are stacked"].replace("(buf)", "(buf.copy())"),
    "tensors of their own": BUGS["frames that are stacked"].replace("from_numpy(buf)", "tensor(buf)"),
    "clones": BUGS["added to"].replace("from_numpy(state)", "from_numpy(state).clone()"),
    "used before the next fill": """
buf, losses = np.zeros(3, dtype=np.float32), []
for t in range(5):
    buf[:] = rng.normal(size=3)
    x = torch.from_numpy(buf)
    losses.append(net(x).sum().detach())
print(torch.stack(losses).mean() * 0)
""",
    "all kept, each used in its turn": """
buf, kept = np.zeros(3, dtype=np.float32), []
for t in range(5):
    buf[:] = rng.normal(size=3)
    x = torch.from_numpy(buf)
    kept.append(x)
    net(x).sum().backward()
print(len(kept))
""",
    "a new array in each turn": """
frames = []
for t in range(5):
    buf = np.zeros(3, dtype=np.float32)
    buf[:] = rng.normal(size=3)
    frames.append(torch.from_numpy(buf))
net(torch.stack(frames)).sum().backward()
""",
    "rows of one array": """
buf, rows = np.zeros((4, 3), dtype=np.float32), []
for t in range(4):
    buf[t] = rng.normal(size=3)
    rows.append(torch.from_numpy(buf[t]))
net(torch.stack(rows)).sum().backward()
""",
    "one array that nobody fills": """
buf, same = np.ones(3, dtype=np.float32), []
for t in range(4):
    same.append(torch.from_numpy(buf))
net(torch.stack(same)).sum().backward()
""",
    "filled in front of the loop": """
buf, same = np.ones(3, dtype=np.float32), []
buf[:] = 2
for t in range(4):
    same.append(torch.from_numpy(buf))
net(torch.stack(same)).sum().backward()
""",
    "filled where it is asked for": """
buf, same = np.ones(3, dtype=np.float32), []
for t in range(4):
    if t > 10:
        buf[:] = t
    same.append(torch.from_numpy(buf))
net(torch.stack(same)).sum().backward()
""",
    "the last of each call": """
buf, kept = np.zeros(3, dtype=np.float32), []
def fetch():
    for t in range(2):
        buf[:] = t
        x = torch.from_numpy(buf)
    return x
for _ in range(3):
    kept.append(fetch())
    net(kept[-1]).sum().backward()
""",
    "several of one fill": """
buf, kept = np.zeros(3, dtype=np.float32), []
for t in range(1):
    buf[:] = t
    for j in range(3):
        kept.append(torch.from_numpy(buf))
net(torch.stack(kept)).sum().backward()
""",
    "several of one fill, in a line": """
buf, kept = np.zeros(3, dtype=np.float32), []
for t in range(1):
    buf[:] = t
    kept += [torch.from_numpy(buf) for j in range(3)]
net(torch.stack(kept)).sum().backward()
""",
    "left before it is filled": """
buf, kept = np.zeros(3, dtype=np.float32), []
for t in range(4):
    kept.append(torch.from_numpy(buf))
    if t < 4:
        continue
    buf[:] = t
net(torch.stack(kept)).sum().backward()
""",
    "a generator that is read in turns": """
def batches():
    buf = np.zeros(3, dtype=np.float32)
    for t in range(4):
        buf[:] = t
        yield torch.from_numpy(buf)
kept = []
for x in batches():
    kept.append(x)
    net(x).sum().backward()
""",
    "the sizes of all": """
buf, kept = np.zeros(3, dtype=np.float32), []
for t in range(4):
    buf[:] = t
    kept.append(torch.from_numpy(buf))
print(sum(x.numel() + x.shape[0] for x in kept) * 0)
""",
    "the last one": """
buf, kept = np.zeros(3, dtype=np.float32), []
for t in range(4):
    buf[:] = t
    kept.append(torch.from_numpy(buf))
net(kept[-1]).sum().backward()
""",
    "an argument that a function only reads": """
def measure(values):
    values = values.copy()
    values[:] = 2
buf, same = np.ones(3, dtype=np.float32), []
for t in range(4):
    measure(buf)
    same.append(torch.from_numpy(buf))
net(torch.stack(same)).sum().backward()
""",
}


def _warned(text: str) -> list[SharedReference]:
    ran = record_text(text)
    assert ran.error is None
    assert not [one for one in ran.report.findings if one.severity == "error"]
    return [one for one in ran.report.of_type(SharedReference) if one.severity == "warning"]


@pytest.mark.parametrize("name", BUGS)
def test_what_was_filled_anew_is_told(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the line that fills it, the one that made the tensors, and the one that reads them."""
    text = (HEAD + BUGS[name]).strip("\n")

    (found,) = _warned(text)

    assert found.how == "refilled"
    assert {found.culprits[0].position.line} == marked(text, "F")
    assert {place.position.line for place in found.culprits} == marked(text, "F") | marked(text, "K")
    assert found.victim is not None
    assert found.victim.place is not None
    assert {found.victim.place.position.line} == marked(text, "R")
    capsys.readouterr()


@pytest.mark.parametrize("name", BUGS)
def test_a_copy_mends_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a change is shown."""
    text = (HEAD + BUGS[name]).strip("\n")
    (found,) = _warned(text)

    assert found.rewrite is not None
    assert _warned(applied(text, found.rewrite)) == []
    capsys.readouterr()


@pytest.mark.parametrize("name", SOUND)
def test_sound_twins_are_no_warning(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither of copies and other bytes, nor where each was used in its turn, nor where no fill is certain."""
    assert _warned((HEAD + SOUND[name]).strip("\n")) == []
    capsys.readouterr()


def test_it_says_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    """Which line filled the array again, and that the tensors are no copies."""
    ran = record_text((HEAD + BUGS["frames that are stacked"]).strip("\n"))
    (found,) = ran.report.of_type(SharedReference)

    said = message(found, ran.trace)

    assert "line 10: buf[:] = rng.normal(size=3) fills the array anew" in said
    assert "are no copies" in said
    assert "finds the values that it got last in all of them" in said
    capsys.readouterr()

"""Writes that nobody shows us, into what a node has saved: known by samples, and told between two lines."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
import torch

from inplace.checks.silent_corruption import UnseenWrite
from inplace.render.words.telling import headline, why
from tests.recording import Recorded, record_text

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script`")  # newer versions call it deprecated

HEAD = """
import ctypes, os, threading
from concurrent.futures import ThreadPoolExecutor
from torch import nn
torch.manual_seed(0)
x = torch.rand(4, requires_grad=True)
def by(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()
"""

# What each writes is saved on the line that ends in `# saved`.
BUGS = {
    "a thread, through data": """
h = torch.sigmoid(x)  # saved
by(lambda: h.data.add_(1))
h.sum().backward()
""",
    "a thread, into the storage": """
h = torch.exp(x)  # saved
by(lambda: h.untyped_storage().fill_(1))
loss = (h * 2).sum()
loss.backward()
""",
    "a pool that fills the next batch too early": """
net, batch = nn.Linear(4, 3), torch.rand(8, 4)
with ThreadPoolExecutor(1) as pool:
    for _ in range(3):
        loss = net(batch).pow(2).mean()  # saved
        pool.submit(lambda: batch.data.uniform_()).result()
        loss.backward()
""",
    "a large tensor": """
h = torch.rand(300, 40, requires_grad=True).tanh()  # saved
by(lambda: h.data.mul_(0.5))
h.sum().backward()
""",
    "a row of a large tensor": """
h = torch.rand(64, 400, requires_grad=True).tanh()  # saved
by(lambda: h.data[7].zero_())
h.sum().backward()
""",
    "TorchScript": """
@torch.jit.script
def clean(t: torch.Tensor):
    t.data.clamp_(max=0.5)
h = torch.tanh(x + 1)  # saved
clean(h)
h.sum().backward()
""",
    "TorchScript, a weight": """
@torch.jit.script
def decay(t: torch.Tensor):
    t.data.mul_(0.9)
w = torch.rand(4, requires_grad=True)
y = x * w  # saved
decay(w)
y.sum().backward()
""",
    "code behind DisableTorchFunction": """
w = torch.rand(4)
y = x * w  # saved
with torch._C.DisableTorchFunction():
    w.data.mul_(2)
y.sum().backward()
""",
    "an address that foreign code has": """
h = torch.exp(x)  # saved
with torch._C.DisableTorchFunction():
    place = h.data_ptr()
ctypes.memset(place, 0, 8)
h.sum().backward()
""",
    "an address that a thread writes to": """
places = []
h = torch.exp(x)  # saved
by(lambda: places.append(h.data_ptr()))
by(lambda: ctypes.memset(places[0], 0, 4))
h.sum().backward()
""",
    "an array that a thread has made": """
arrays = []
h = torch.exp(x)  # saved
by(lambda: arrays.append(h.detach().numpy()))
arrays[0][1:] = 7
h.sum().backward()
""",
    "a custom operator that declares no write": """
@torch.library.custom_op("unrecorded::halve", mutates_args=(), schema="(Tensor t) -> Tensor")
def halve(t):
    t.numpy()[...] *= 0.5
    return t.sum()
h = torch.sigmoid(x)  # saved
halve(h.detach())
h.sum().backward()
""",
    "an operator of a library": """
library = torch.library.Library("unrecorded_too", "FRAGMENT")
library.define("count(Tensor t) -> int")
library.impl("count", lambda t: len(t.data.add_(1)), "CPU")
h = torch.exp(x)  # saved
with torch.no_grad():
    torch.ops.unrecorded_too.count(h)
h.sum().backward()
library._destroy()
""",
    "a hook of a module that asks a thread": """
net = nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 1))
net[1].register_forward_hook(lambda m, given, out: by(lambda: out.data.zero_()))
net(x).sum().backward()  # saved
""",
    "in the third of some steps": """
net = nn.Linear(4, 4)
for step in range(5):
    h = torch.tanh(net(x))  # saved
    if step == 2:
        by(lambda: h.data.neg_())
    h.sum().backward()
""",
    "a fused optimizer, between forward and backward": """
net = nn.Linear(4, 3)
opt = torch.optim.SGD(net.parameters(), lr=0.1, fused=True)
z = torch.tanh(x)
loss = net(z).pow(2).sum()  # saved
loss.backward(retain_graph=True)
opt.step()
loss.backward()
""",
    "a graph that is kept": """
h = torch.exp(x)  # saved
h.sum().backward(retain_graph=True)
by(lambda: h.data.add_(1))
h.sum().backward()
""",
}

SOUND = {
    "a thread writes before the save": """
y = x * 2
by(lambda: y.data.add_(1))
h = torch.sigmoid(y)
h.sum().backward()
""",
    "a thread writes behind backward": """
h = torch.sigmoid(x)
h.sum().backward()
by(lambda: h.data.add_(1))
(x * 3).sum().backward()
""",
    "what is written is not saved": """
y = x + 1
by(lambda: y.data.add_(1))
torch.sigmoid(y * 2).sum().backward()
""",
    "other bytes of the storage": """
rows = torch.rand(4, 4)
y = x * rows[1]
z = x + rows[3] * 2
by(lambda: rows.data[3].zero_())
(y + z).sum().backward()
""",
    "bytes beside and between": """
rows = torch.rand(3, 4)
bias = (rows + x).sum() * 0
y = x * rows[1]
by(lambda: (rows.data[0].zero_(), rows.data[2].zero_()))
(y.sum() + bias).backward()
""",
    "a weight that a thread sets between the steps": """
net = nn.Linear(4, 3)
for _ in range(12):
    net(x).sum().backward()
    by(lambda: net.weight.data.copy_(torch.rand(3, 4)))
""",
    "a batch that a pool fills when backward is over": """
net, batch = nn.Linear(4, 3), torch.rand(8, 4)
with ThreadPoolExecutor(1) as pool:
    for _ in range(12):
        net(batch).pow(2).mean().backward()
        pool.submit(lambda: batch.data.uniform_()).result()
""",
    "two buffers in turn": """
net, batches = nn.Linear(4, 3), [torch.rand(8, 4), torch.rand(8, 4)]
with ThreadPoolExecutor(1) as pool:
    for step in range(12):
        waits = pool.submit(lambda: batches[(step + 1) % 2].data.uniform_())
        loss = net(batches[step % 2]).pow(2).mean()
        waits.result()
        loss.backward()
""",
    "TorchScript that reads": """
@torch.jit.script
def top(t: torch.Tensor):
    return t.data.max()
h = torch.tanh(x)
top(h)
h.sum().backward()
""",
    "TorchScript that writes what is saved behind it": """
@torch.jit.script
def clean(t: torch.Tensor):
    t.data.clamp_(max=0.5)
for _ in range(3):
    y = x * 1
    clean(y)
    (y * y).sum().backward()
""",
    "a custom operator that reads": """
@torch.library.custom_op("unrecorded::total", mutates_args=(), schema="(Tensor t) -> Tensor")
def total(t):
    return torch.tensor(t.numpy().sum())
h = torch.sigmoid(x)
total(h.detach())
h.sum().backward()
""",
    "the address of a copy": """
h = torch.exp(x)
copy = h.detach().clone()
with torch._C.DisableTorchFunction():
    place = copy.data_ptr()
ctypes.memset(place, 0, 16)
h.sum().backward()
""",
    "the same bytes are written": """
h = torch.exp(x)
by(lambda: h.data.copy_(h.data.clone()))
h.sum().backward()
""",
    "nothing that is a number": """
y = x * torch.tensor([float("nan"), float("inf"), 0.0, -0.0])
torch.exp(y).sum().backward()
""",
    "memory that nobody has filled": """
room = torch.empty(4, 64)
y = x @ room
room.copy_(torch.rand(4, 64))
z = x @ room
z.sum().backward()
""",
    "running statistics": """
net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.ReLU())
for _ in range(3):
    one, two = net(torch.rand(8, 4)), net(torch.rand(8, 4))
    (one.mean() - two.mean()).backward()
""",
    "recurrent layers": """
net = nn.LSTM(4, 5, 2, dropout=0.3)
for _ in range(3):
    out, state = net(torch.rand(7, 2, 4))
    (out.sum() + state[1].sum()).backward()
""",
    "a fused optimizer": """
net = nn.Linear(4, 3)
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, fused=True)
for _ in range(12):
    opt.zero_grad()
    net(x).pow(2).sum().backward()
    opt.step()
""",
    "saves that are packed": """
def pack(t):
    kept = t.detach().clone()
    by(lambda: t.data.zero_())
    return kept
h = x * 2
with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept):
    y = torch.exp(h) * 1
y.sum().backward()
""",
    "a storage that is emptied and filled again": """
w = torch.rand(4, 4)
kept = w.clone()
y = x @ w
w.untyped_storage().resize_(0)
w.untyped_storage().resize_(64)
with torch._C.DisableTorchFunction():
    w.data.copy_(kept)
y.sum().backward()
""",
    "a checkpoint": """
from torch.utils.checkpoint import checkpoint
net = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Tanh())
for _ in range(2):
    checkpoint(net, torch.rand(3, 4, requires_grad=True), use_reentrant=False).sum().backward()
    checkpoint(net, torch.rand(3, 4, requires_grad=True), use_reentrant=True).sum().backward()
""",
    "scratch memory on ctx": """
scratch = torch.zeros(4)
class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, t):
        ctx.scratch = scratch
        return t * 2
    @staticmethod
    def backward(ctx, g):
        return g * 2
y = Double.apply(x) * scratch.sum()
by(lambda: scratch.data.add_(1))
y.sum().backward()
""",
    "transformed functions": """
w = torch.rand(3, 4)
torch.func.vmap(lambda row: (row * x).sum())(w).sum().backward()
torch.func.grad(lambda t: torch.exp(t).sum())(x.detach())
""",
    "a tensor that is swapped for another": """
net, other = nn.Linear(4, 3), nn.Linear(4, 3)
net(x).sum().backward()
torch.utils.swap_tensors(net.weight, other.weight)
net(x).sum().backward()
""",
    "a detached path": """
h = torch.exp(x).detach()
by(lambda: h.add_(1))
(h * x).sum().backward()
""",
}

# Writes that others tell of, by their lines: they are not told again as nobody's.
KNOWN = {
    "through data": "h = torch.exp(x)\nh.data.add_(1)\nh.sum().backward()",
    "an array": "h = torch.exp(x)\na = h.detach().numpy()\na += 1\nh.sum().backward()",
    "a storage": "h = torch.exp(x)\nh.untyped_storage()[3] = 1\nh.sum().backward()",
    "a buffer": """
b = bytearray(16)
w = torch.frombuffer(b, dtype=torch.float32)
y = x * w
b[3] = 7
y.sum().backward()
""",
    "running statistics": (
        "net = nn.BatchNorm1d(4)\ny = net.eval()(x[None])\nnet.train()(torch.rand(8, 4))\ny.sum().backward()"
    ),
    "both": "h = torch.exp(x)\nh.data.add_(1)\nby(lambda: h.data.add_(1))\nh.sum().backward()",
    "a child": """
w = torch.rand(4).share_memory_()
y = x * w
if not (child := os.fork()):
    w.data.add_(1)
    os._exit(0)
os.waitpid(child, 0)
y.sum().backward()
""",
}


def in_main(text: str) -> str:
    """The same code as the body of a function."""
    return f"def main():\n{textwrap.indent(text.strip(), '    ')}\nmain()\n"


def told(run: Recorded) -> list[UnseenWrite]:
    """What is told of writes by nobody."""
    assert (run.error, run.trace.notes) == (None, ())
    return [one for one in run.report.of_type(UnseenWrite) if one.how == "unrecorded"]


@pytest.mark.parametrize("form", [str, in_main])
@pytest.mark.parametrize("name", BUGS)
def test_a_write_that_nobody_shows_is_told_between_two_lines(name: str, form: type[str]) -> None:
    """The finding names the save; the write is between the two calls that it names, and no line is blamed."""
    run = record_text(HEAD + form(BUGS[name]))

    (finding,) = told(run)
    lines = (HEAD + form(BUGS[name])).strip("\n").splitlines()
    saved = next(number for number, line in enumerate(lines, 1) if line.endswith("# saved"))
    assert finding.victim is not None
    assert finding.victim.place.position.line == saved
    assert (finding.culprits, finding.rewrite) == ((), None)
    steps = [place.step for place in finding.between or () if place is not None and place.step is not None]
    assert len(steps) == 2
    assert steps == sorted(set(steps))


@pytest.mark.parametrize("form", [str, in_main])
@pytest.mark.parametrize("name", SOUND)
def test_writes_that_harm_no_save_are_left_in_peace(name: str, form: type[str]) -> None:
    """Writes before the save, behind backward, and into bytes that nothing saves are told of by nobody."""
    run = record_text(HEAD + form(SOUND[name]))

    assert told(run) == []


@pytest.mark.parametrize("name", KNOWN)
def test_a_write_that_others_tell_of_is_told_once(name: str) -> None:
    """What a recorded line has written, or whoever else has the bytes, is that one's finding."""
    run = record_text(HEAD + KNOWN[name])

    assert told(run) == []
    assert len(run.report.of_type(UnseenWrite)) == 1


def test_each_write_counts_for_what_was_saved_before_it() -> None:
    """The second of two writes is one into what was saved between them, too."""
    text = """
    w = torch.rand(4)
    x = torch.rand(4, requires_grad=True)
    y = x * w
    with torch._C.DisableTorchFunction():
        w.data[1] = 0
    z = y * w
    with torch._C.DisableTorchFunction():
        w.data[2] = 0
    z.sum().backward()
    """
    run = record_text(text)

    found = {one.victim.place.position.line: one.between for one in told(run) if one.victim is not None}
    lines = {line: [place.position.line for place in between or () if place] for line, between in found.items()}
    assert lines == {3: [3, 6], 6: [6, 9]}


def test_foreign_code_that_was_given_the_tensor_is_mentioned() -> None:
    """The one such call between the two is said to have been given it, and no more."""
    for name, code in (
        ("a custom operator that declares no write", "halve(h.detach())"),
        ("a thread, through data", ""),
    ):
        run = record_text(HEAD + BUGS[name])

        (finding,) = told(run)
        assert (finding.argument.code if finding.argument is not None else "") == code
        assert ("was given the tensor meanwhile" in why(finding, run.trace)) == bool(code)


def test_the_sentence_says_between_which_lines() -> None:
    """The call before the write and the one behind it narrow it down, whatever runs elsewhere."""
    text = """
    x = torch.rand(4, requires_grad=True)
    h = torch.sigmoid(x)
    y = h * 2
    with torch._C.DisableTorchFunction():
        h.data.zero_()
    z = h * 3
    (y + z).sum().backward()
    """
    run = record_text(text)

    (finding,) = told(run)
    said = headline(finding, run.trace)
    assert re.sub(r"\W+", " ", said).startswith("h changed between line 3 and line 6 after line 2 saved it")


def test_what_may_go_away_is_not_read(tmp_path: Path) -> None:
    """A file that a tensor stands for may be cut, and a storage emptied: to read it then would end the process."""
    file = tmp_path / "weights"
    file.write_bytes(bytes(1 << 16))
    text = f"""
    x = torch.rand(64, 256, requires_grad=True)
    w = torch.from_file({str(file)!r}, shared=True, size=1 << 14).view(64, 256)
    v = torch.rand(64, 256)
    y = (x * w).sum() + (x * v).sum()
    open({str(file)!r}, "wb").close()
    v.untyped_storage().resize_(0)
    z = torch.exp(x).sum()
    z.backward()
    """
    run = record_text(text)

    assert told(run) == []


def test_a_light_recording_reads_no_samples() -> None:
    """There nothing is read of any tensor, so a write that nobody shows is not told."""
    import inplace

    x = torch.rand(4, requires_grad=True)
    with inplace.record(light=True) as recording:
        h = torch.exp(x)
        with torch._C.DisableTorchFunction():
            h.data.add_(1)
        h.sum().backward()

    assert recording.report.findings == ()

"""Worked examples: sentences that are heard often, and that no document puts to the test."""

from __future__ import annotations

from inplace.examples.example import Example

HEARD: tuple[Example, ...] = (
    Example(
        id="E38",
        said_by=("guide", "lesson"),
        topic="basics",
        title="the underscore is a habit, not the rule",
        claim="In-place operations are those with a trailing underscore, so search for `_`.",
        verdict="imprecise",
        limit="Holds for methods that write. Many writes have no underscore, and `requires_grad_` writes no byte.",
        lesson="Indexed assignment, `+=`, `out=`, `inplace=True` and optimizers write without one. "
        "Ask the version: it counts the writes, however they are spelled.",
        code="""\
import torch
a = torch.zeros(3)
a[0] = 1
a += 1
torch.add(a, 1, out=a)
a = torch.nn.ReLU(inplace=True)(a)
print(a._version)  # 4
a.requires_grad_()
print(a._version)  # 4
""",
        words=("setitem", "inplace=True"),
    ),
    Example(
        id="E39",
        said_by=("guide",),
        topic="sharing",
        title="no gradient, and still not safe",
        claim="Where nothing requires grad, in-place calls are always safe.",
        verdict="wrong",
        lesson="Every other name for the same bytes changes too: views, arrays, items of a dataset, a kept "
        "`state_dict`. No gradient is needed for that, and nothing raises.",
        code="""\
import torch
table = torch.ones(2, 2)
first = table[0]
first.zero_()
print(table.tolist())  # [[0.0, 0.0], [1.0, 1.0]]
torch.manual_seed(0)
layer = torch.nn.Linear(1, 1)
torch.nn.init.zeros_(layer.weight)
best = layer.state_dict()
torch.nn.init.ones_(layer.weight)
print(best["weight"].item())  # 1.0
""",
        words=("alias", "view", "from_numpy"),
    ),
    Example(
        id="E40",
        said_by=("guide",),
        topic="sharing",
        title="data that drifts from epoch to epoch",
        claim="Data may be normalised in place liberally.",
        verdict="imprecise",
        limit="Holds for a fresh copy. An item of a dataset is a view of it.",
        lesson="`row -= 1` writes to the dataset, so each epoch subtracts once more. `row = row - 1` makes a tensor "
        "of its own.",
        code="""\
import torch
from torch.utils.data import TensorDataset
data = TensorDataset(torch.tensor([[1., 2.], [3., 4.]]))
for epoch in range(2):
    for (row,) in data:
        row -= 1
print(data.tensors[0].tolist())  # [[-1.0, 0.0], [1.0, 2.0]]
""",
        words=("dataset", "epoch", "normalise", "normalize"),
    ),
    Example(
        id="E41",
        said_by=("lesson", "article"),
        topic="graph",
        title="history is rewritten, not lost",
        claim="In-place calls break the tracking of history.",
        verdict="wrong",
        limit="Holds under `no_grad` and through `detach()` or `.data`, where the write isn't recorded.",
        lesson="A write with grad mode on is recorded: the tensor gets a new `grad_fn`, and a write to a view gives "
        "its base one that is called CopySlices. The gradient goes through the write.",
        code="""\
import torch
x = torch.tensor([1., 2.], requires_grad=True)
y = x * 1
y[0] = y[1] * 5
print(y.grad_fn.name())  # torch::autograd::CopySlices
y.sum().backward()
print(x.grad)  # tensor([0., 6.])
""",
        words=("CopySlices", "rebase"),
    ),
    Example(
        id="E42",
        said_by=("lesson",),
        topic="leaves",
        title="why a leaf is refused",
        claim="`x.add_(5)` raises on a leaf because it overwrites the values.",
        verdict="imprecise",
        limit="The answer of a quiz, and half of one: results may be overwritten, and leaves too under `no_grad`.",
        lesson="With grad mode on, the write would make `x` a result, and there would be no leaf left to put the "
        "gradient in. The rule is about history, not about values.",
        code="""\
import torch
x = torch.tensor([1., 2.], requires_grad=True)
with torch.no_grad():
    x.add_(5)
print(x.tolist())  # [6.0, 7.0]
y = x * 1
y.add_(5)
print(y.tolist())  # [11.0, 12.0]
x.add_(5)  # raises RuntimeError: a leaf Variable that requires grad is being used in an in-place operation.
""",
    ),
    Example(
        id="E43",
        said_by=("lesson", "article"),
        topic="basics",
        title="what PyTorch really prints",
        claim="The outputs beside the code of such documents are what PyTorch prints.",
        verdict="imprecise",
        limit="The numbers hold; the form of tensors and the words of errors are not always PyTorch's.",
        lesson="A leaf says `requires_grad=True`, and a result names its `grad_fn`. Where an output shows neither, "
        "it was typed and not run.",
        code="""\
import torch
x = torch.tensor([1., 2., 3.], requires_grad=True)
print(x)  # tensor([1., 2., 3.], requires_grad=True)
print(x + 5)  # tensor([6., 7., 8.], grad_fn=<AddBackward0>)
x.add_(5)  # raises RuntimeError: a leaf Variable that requires grad is being used in an in-place operation.
""",
    ),
    Example(
        id="E44",
        said_by=("article",),
        topic="leaves",
        title="a listing that stops at its first call",
        claim="Adding to a leaf in place and going backward shows how gradients go wrong.",
        verdict="wrong",
        lesson="The listing stops at `add_`, with the leaf error. No backward pass runs, and no gradient is wrong.",
        code="""\
import torch
x = torch.tensor([1., 2., 3.], requires_grad=True)
reached = ["the leaf"]
try:
    x.add_(torch.tensor([4., 5., 6.]))
    reached.append("the write")
    x.sum().backward()
except RuntimeError:
    print(reached, x.grad)  # ['the leaf'] None
""",
    ),
    Example(
        id="E45",
        said_by=("guide",),
        topic="memory",
        title="is it faster",
        claim="In-place calls are faster.",
        verdict="measured",
        limit="Depends on the size and on the allocator: measure it where it matters.",
        lesson="For a small tensor the call itself costs most, with the underscore or without. For a large one the "
        "new memory has a price. A whole training step need not gain at all.",
        code="""\
import time
import torch
for size in (10, 1_000_000):
    for name in ("mul", "mul_"):
        spent = []
        for _ in range(20):
            a = torch.ones(size)
            start = time.perf_counter()
            getattr(a, name)(2)
            spent.append(time.perf_counter() - start)
        text = f"{name:4} of {size:7} elements: {min(spent) * 1e6:.1f} us"
        print(text)
""",
        words=("speed", "fast", "time"),
    ),
    Example(
        id="E46",
        said_by=("article",),
        topic="sharing",
        title="the same run, twice",
        claim="In-place calls make training non-deterministic and hinder model parallelism.",
        verdict="imprecise",
        limit="Holds where several processes write to one tensor at once (Hogwild). One process gives the same bits "
        "twice; parallel models are not measured here.",
        lesson="A write is as deterministic as its ordinary twin. What is not, is who comes first where processes "
        "write to shared memory: that is a race, with the underscore or without.",
        code="""\
import torch
def train():
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 3)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        layer(torch.randn(4, 3)).add_(1).relu_().sum().backward()
        optimizer.step()
    return layer.weight
print(torch.equal(train(), train()))  # True
""",
        words=("hogwild", "deterministic", "race"),
    ),
    Example(
        id="E47",
        said_by=("docs", "forums"),
        topic="graph",
        title="no error, and a wrong gradient",
        claim="If no error is raised, the gradients are right.",
        verdict="wrong",
        lesson="PyTorch compares counts. A write that is not counted raises nothing, and the slope is computed with "
        "the new value: here of 0.9 instead of 0.5.",
        code="""\
import torch
x = torch.zeros(1, requires_grad=True)
h = torch.sigmoid(x)
loss = h.sum()
h.data.fill_(0.9)
loss.backward()
print(round(x.grad.item(), 2))  # 0.09
print(torch.autograd.grad(torch.sigmoid(x).sum(), x)[0].item())  # 0.25
""",
        words=("silent", "data"),
    ),
    Example(
        id="E48",
        said_by=("forums",),
        topic="sharing",
        title="a write into a copy",
        claim="`x[mask].add_(1)` changes `x`.",
        verdict="wrong",
        lesson="Indexing with a mask or a list makes a copy, and `add_` changes that copy, which nobody keeps. "
        "`x[mask] += 1` ends in an indexed assignment, and does change `x`.",
        code="""\
import torch
x = torch.zeros(3)
mask = torch.tensor([True, False, True])
x[mask].add_(1)
print(x.tolist())  # [0.0, 0.0, 0.0]
x[mask] += 1
print(x.tolist())  # [1.0, 0.0, 1.0]
""",
        words=("mask", "index", "lost"),
    ),
    Example(
        id="E49",
        said_by=("forums",),
        topic="graph",
        title="a write is a node of the graph",
        claim="Autograd does not record in-place calls.",
        verdict="wrong",
        lesson="It records them like any other: `y` has a new `grad_fn`, and the gradient has gone through both "
        "factors.",
        code="""\
import torch
x = torch.ones(2, requires_grad=True)
y = x + 1
print(y.grad_fn.name())  # AddBackward0
y.mul_(3)
print(y.grad_fn.name())  # MulBackward0
y.sum().backward()
print(x.grad)  # tensor([3., 3.])
""",
    ),
    Example(
        id="E50",
        said_by=("forums",),
        topic="basics",
        title="how many methods have a twin",
        claim="Most methods of a tensor have an in-place twin.",
        verdict="wrong",
        lesson="About a third have one: those whose result fits into the memory of their tensor. "
        "`sum`, `matmul` or `reshape` could not.",
        code="""\
import torch
public = [n for n in dir(torch.Tensor) if not n.startswith("_") and not n.endswith("_")]
methods = [n for n in public if callable(getattr(torch.Tensor, n))]
twins = [n for n in methods if hasattr(torch.Tensor, n + "_")]
print(len(twins) > len(methods) / 2)  # False
""",
        words=("twin", "pairs"),
    ),
    Example(
        id="E65",
        said_by=("forums",),
        topic="graph",
        title="what the versions count",
        claim="The two versions in the message tell how many writes came in between.",
        verdict="imprecise",
        limit="Holds where every write is one counted call.",
        lesson="`a[0] += 1` counts twice, `unsqueeze_` counts and writes no number, and a write through `.data` "
        "does not count. Different versions say that something was called, not how often.",
        code="""\
import torch
a = torch.zeros(2)
a[0] += 1
print(a._version)  # 2
a.unsqueeze_(0)
print(a._version)  # 3
a.data.add_(1)
print(a._version)  # 3
""",
        words=("version", "expected version"),
    ),
    Example(
        id="E66",
        said_by=("forums",),
        topic="gradients",
        title="never cleared",
        claim="`backward()` replaces the gradient that was there.",
        verdict="wrong",
        limit="",
        lesson="It adds to it. Where nothing clears them, each step uses the sum of all gradients so far: call "
        "`optimizer.zero_grad()` once for each step.",
        code="""\
import torch
w = torch.ones(1, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.25)
for step in range(3):
    (2 * w).sum().backward()
    optimizer.step()
print(w.grad.item())  # 6.0
print(w.item())  # -2.0
""",
        words=("zero_grad", "accumulate", "clear"),
    ),
)

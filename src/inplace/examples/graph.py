"""Worked examples: writes to what a graph has saved, to gradients and to weights."""

from __future__ import annotations

from inplace.examples.example import Example

_TOPIC = "graph"

GRAPH: tuple[Example, ...] = (
    Example(
        id="E13",
        said_by=("guide",),
        topic=_TOPIC,
        title="raised or silent",
        claim="In-place edits of intermediate results may give wrong gradients silently, or raise in `backward`.",
        verdict="imprecise",
        limit="Says neither which nor when: there are three classes of writes.",
        lesson="Counted and recorded: `backward` raises if the old value was needed, and is right if not. Counted, not "
        "recorded (`no_grad`, `detach()`): the gradient is that of the value before the write. Not counted "
        "(`.data`, numpy, shared memory, running statistics, collectives): nothing can be noticed.",
        code="""\
import torch
x = torch.zeros(2, requires_grad=True)
h = x * 3
with torch.no_grad():
    h.mul_(2)  # counted, not recorded: h is 6 * x now
h.sum().backward()
print(h._version, x.grad)  # 1 tensor([3., 3.])
y = x.exp()
y.data.mul_(100)  # not counted
print(y._version, torch.autograd.grad(y.sum(), x)[0])  # 0 tensor([100., 100.])
y = x.exp().mul_(100)  # counted and recorded
y.sum().backward()  # raises RuntimeError: modified by an inplace operation
""",
    ),
    Example(
        id="E14",
        said_by=("guide",),
        topic=_TOPIC,
        title="writes that do no harm",
        claim="Never use in-place calls on tensors that take part in a gradient.",
        verdict="imprecise",
        limit="Holds where a node has saved the old value, and only there.",
        lesson="A write does no harm where no node has saved the old value. A linear layer or an addition does not "
        "need its own result for backward, so `relu_` or `add_` may overwrite it.",
        code="""\
import torch
torch.manual_seed(0)
layer = torch.nn.Linear(3, 3)
x = torch.randn(2, 3)
layer(x).relu().sum().backward()
expected = layer.weight.grad.clone()
layer.weight.grad = None
layer(x).relu_().sum().backward()
print(torch.equal(layer.weight.grad, expected))  # True
""",
    ),
    Example(
        id="E17",
        said_by=("guide",),
        topic=_TOPIC,
        title="zeroing gradients",
        claim="Zeroing the gradients in each step spares the allocation of new ones.",
        verdict="wrong",
        limit="Out of date: it holds with `set_to_none=False` only.",
        lesson="`optimizer.zero_grad()` sets the gradients to None, so the next `backward` makes new ones. "
        "`zero_grad(set_to_none=False)` writes zeros into the old ones.",
        code="""\
import torch
w = torch.ones(3, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.1)
(w * 2).sum().backward()
optimizer.zero_grad()
print(w.grad)  # None
(w * 2).sum().backward()
optimizer.zero_grad(set_to_none=False)
print(w.grad)  # tensor([0., 0., 0.])
""",
    ),
    Example(
        id="E18",
        said_by=("guide",),
        topic=_TOPIC,
        title="filling weights through data",
        claim="Weights are initialised with `param.data.fill_(value)`.",
        verdict="imprecise",
        limit="Works before the first forward pass; unsafe as a habit.",
        lesson="It works, but the write is not counted, and autograd could not notice it in the middle of a step. "
        "Under `torch.no_grad()`, or with `torch.nn.init`, the same write is counted.",
        code="""\
import torch
p = torch.nn.Parameter(torch.zeros(3))
p.data.fill_(0.5)
print(p.tolist(), p._version)  # [0.5, 0.5, 0.5] 0
with torch.no_grad():
    p.fill_(0.5)
print(p.tolist(), p._version)  # [0.5, 0.5, 0.5] 1
""",
    ),
    Example(
        id="E25",
        said_by=("lesson",),
        topic=_TOPIC,
        title="relu_ in forward",
        claim="`hidden = hidden.relu_()` in a forward pass makes `backward` raise the leaf error.",
        verdict="imprecise",
        limit="Holds where the input itself is a leaf that requires grad, such as in front of a first layer.",
        lesson="After a linear layer nothing raises. After sigmoid, tanh or exp, which saved their result, `backward` "
        "raises, and it is the error about a modified value. On an input that is a leaf, the call itself raises the "
        "leaf error.",
        code="""\
import torch
torch.manual_seed(0)
layer, x = torch.nn.Linear(3, 3), torch.randn(2, 3)
layer(x).relu_().sum().backward()
print(layer.weight.grad is None)  # False
try:
    torch.nn.ReLU(inplace=True)(torch.ones(3, requires_grad=True))
except RuntimeError as error:
    print("leaf" in str(error))  # True
hidden = torch.sigmoid(layer(x))
hidden = hidden.relu_()
hidden.sum().backward()  # raises RuntimeError: modified by an inplace operation
""",
    ),
    Example(
        id="E34",
        said_by=("article",),
        topic=_TOPIC,
        title="a module that writes to its weight",
        claim="A module must not do `self.weight.add_(x)` in `forward`.",
        verdict="right",
        limit="Leaves unsaid that PyTorch refuses it.",
        lesson="A parameter is a leaf that requires a gradient, so the call raises the leaf error.",
        code="""\
import torch
class Shift(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(3))
    def forward(self, x):
        return self.weight.add_(x)  # raises RuntimeError: a leaf Variable that requires grad
Shift()(torch.ones(3))
""",
    ),
    Example(
        id="E35",
        said_by=("article",),
        topic=_TOPIC,
        title="a module that replaces its weight",
        claim="`self.weight = self.weight + x` in `forward` is the correct form.",
        verdict="wrong",
        lesson="It does not run: the sum is no Parameter, and a module refuses anything else under that name. "
        "Use the sum under another name, and leave the weight to the optimizer.",
        code="""\
import torch
class Shift(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(3))
    def forward(self, x):
        self.weight = self.weight + x  # raises TypeError: as parameter 'weight'
        return self.weight
Shift()(torch.ones(3))
""",
    ),
)

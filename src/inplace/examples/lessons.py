"""Worked examples: one for each kind of finding that no document speaks of."""

from __future__ import annotations

from inplace.examples.example import Example

LESSONS: tuple[Example, ...] = (
    Example(
        id="E51",
        said_by=("forums",),
        topic="gradients",
        title="backward through a graph a second time",
        claim="When `backward` raises 'a second time', `retain_graph=True` is the cure.",
        verdict="imprecise",
        limit="Holds where one graph is wanted twice. Where a state is carried over from step to step, it hides that.",
        lesson="The first `backward` frees what the graph kept. Mostly an old graph hangs on to the new one: carry "
        "`state.detach()` over, or compute the loss again.",
        code="""\
import torch
w = torch.ones(1, requires_grad=True)
state = torch.ones(1)
for step in range(2):
    state = state.detach() * w
    (state * w).sum().backward()
print(w.grad)  # tensor([4.])
loss = (w * w).sum()
loss.backward()
loss.backward()  # raises RuntimeError: Trying to backward through the graph a second time
""",
        words=("second time", "retain_graph", "freed"),
    ),
    Example(
        id="E52",
        said_by=("forums",),
        topic="gradients",
        title="backward from several elements",
        claim="`backward()` can be called on any result.",
        verdict="wrong",
        limit="Holds for one element, or with a gradient for each.",
        lesson="A slope is asked of one number. For several, sum them, or say how much each of them counts.",
        code="""\
import torch
x = torch.ones(2, requires_grad=True)
(x * 2).backward(torch.ones(2))
print(x.grad)  # tensor([2., 2.])
(x * 2).backward()  # raises RuntimeError: grad can be implicitly created only for scalar outputs
""",
        words=("scalar",),
    ),
    Example(
        id="E53",
        said_by=("forums",),
        topic="gradients",
        title="a loss that was wrapped anew",
        claim="A loss may be made a new tensor with `requires_grad=True` before `backward`.",
        verdict="wrong",
        lesson="The new tensor has no history: its gradient ends in itself, and the layer gets none. "
        "Keep the loss as it was computed; take `.item()` for the log only.",
        code="""\
import torch
torch.manual_seed(0)
layer = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
loss = layer(torch.ones(1, 2)).sum()
loss = torch.tensor(loss.item(), requires_grad=True)
loss.backward()
optimizer.step()
print(layer.weight.grad)  # None
""",
        words=("detach", "item", "none", "grad_fn"),
    ),
    Example(
        id="E54",
        said_by=("forums",),
        topic="gradients",
        title="layers in a plain list",
        claim="Layers that a module keeps in a Python list are trained like the others.",
        verdict="wrong",
        lesson="`parameters()` finds what is assigned to the module itself. A plain list hides its layers: they get "
        "gradients and never a step. `torch.nn.ModuleList` shows them.",
        code="""\
import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(2, 2)
        self.rest = [torch.nn.Linear(2, 2)]
    def forward(self, x):
        return self.rest[0](self.first(x))
torch.manual_seed(0)
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
net(torch.ones(1, 2)).sum().backward()
optimizer.step()
print(len(list(net.parameters())))  # 2
""",
        words=("ModuleList", "optimizer", "parameters"),
    ),
    Example(
        id="E55",
        said_by=("forums",),
        topic="gradients",
        title="cleared before the step",
        claim="`zero_grad()` may stand anywhere in the loop.",
        verdict="wrong",
        limit="Anywhere but between `backward` and `step`.",
        lesson="Between the two it throws away what `step` would use: nothing raises, and nothing is learned.",
        code="""\
import torch
w = torch.ones(1, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.5)
for step in range(2):
    (w * w).sum().backward()
    optimizer.zero_grad()
    optimizer.step()
print(w.item())  # 1.0
""",
        words=("zero_grad", "step", "clip"),
    ),
    Example(
        id="E56",
        said_by=("forums",),
        topic="gradients",
        title="where does not keep NaN out",
        claim="`torch.where` keeps what it didn't choose out of the gradient.",
        verdict="wrong",
        lesson="It sends zero to the side it did not choose, and zero times an infinite slope is NaN. "
        "Make the input harmless before the function, not its result after.",
        code="""\
import torch
x = torch.tensor([0., 4.], requires_grad=True)
y = torch.where(x > 0, x.sqrt(), torch.zeros(2))
print(y.tolist())  # [0.0, 2.0]
y.sum().backward()
print(x.grad.tolist())  # [nan, 0.25]
""",
        words=("nan", "inf", "sqrt"),
    ),
    Example(
        id="E57",
        said_by=("forums",),
        topic="views",
        title="a slice of a leaf",
        claim="A part of a parameter may be set, as in `layer.bias[0] = 1`.",
        verdict="wrong",
        limit="Under `torch.no_grad()` it may.",
        lesson="The part is a view of the leaf, so the write would be one to the leaf.",
        code="""\
import torch
torch.manual_seed(0)
layer = torch.nn.Linear(2, 2)
with torch.no_grad():
    layer.bias[0] = 1
print(layer.bias[0].item())  # 1.0
layer.bias[0] = 1  # raises RuntimeError: a view of a leaf Variable that requires grad
""",
        words=("bias", "slice"),
    ),
    Example(
        id="E58",
        said_by=("forums",),
        topic="views",
        title="pieces that came in one call",
        claim="The pieces that `unbind` or `chunk` give may be written like any slice.",
        verdict="wrong",
        limit="Holds for what requires no grad.",
        lesson="Autograd can't rewrite the history of several views that one call gave out. "
        "Index for the piece that you write (`x[0]`), or put the pieces together anew.",
        code="""\
import torch
x = torch.ones(2, requires_grad=True) * 1
x[0].add_(1)
print(x.tolist())  # [2.0, 1.0]
first, second = x.unbind()
first.add_(1)  # raises RuntimeError: is a view and is being modified inplace
""",
        words=("unbind", "chunk", "split"),
    ),
    Example(
        id="E59",
        said_by=("forums",),
        topic="views",
        title="reading and writing the same bytes",
        claim="`x[:, 1:] = x[:, :-1]` moves every column one place to the right.",
        verdict="wrong",
        limit="PyTorch refuses it where it sees that the bytes overlap; of columns it does not.",
        lesson="What is read has been written already. Read from a copy: `x[:, :-1].clone()`.",
        code="""\
import torch
x = torch.arange(16).reshape(2, 8)
right = x.clone()
right[:, 1:] = x[:, :-1].clone()
x[:, 1:] = x[:, :-1]
print(torch.equal(x, right))  # False
row = torch.arange(5)
row[1:] = row[:-1]  # raises RuntimeError: unsupported operation
""",
        words=("overlap", "shift", "roll"),
    ),
    Example(
        id="E60",
        said_by=("forums",),
        topic="views",
        title="view and reshape",
        claim="`view` works wherever `reshape` does.",
        verdict="wrong",
        lesson="`view` never copies, so it raises where one step through the memory can't reach the elements in "
        "order. `reshape` copies there, and a write to its result is then lost on the source.",
        code="""\
import torch
m = torch.arange(6).reshape(2, 3)
flat = m.t().reshape(6)
flat.zero_()
print(m.tolist())  # [[0, 1, 2], [3, 4, 5]]
m.t().view(6)  # raises RuntimeError: view size is not compatible
""",
        words=("contiguous", "stride"),
    ),
    Example(
        id="E61",
        said_by=("docs", "forums"),
        topic="graph",
        title="inference mode is more than no_grad",
        claim="`inference_mode` is a faster `no_grad`.",
        verdict="imprecise",
        limit="Holds as long as its tensors never meet a graph.",
        lesson="What is made under it has no version counter, so autograd refuses to save it. "
        "`clone()` it outside, or use `no_grad`.",
        code="""\
import torch
w = torch.ones(2, requires_grad=True)
with torch.no_grad():
    a = torch.ones(2) * 2
print((w * a).sum().item())  # 4.0
with torch.inference_mode():
    b = torch.ones(2) * 2
w * b  # raises RuntimeError: Inference tensors cannot be saved for backward
""",
        words=("inference",),
    ),
    Example(
        id="E62",
        said_by=("forums",),
        topic="sharing",
        title="numpy and a gradient",
        claim="`.numpy()` gives the array of any tensor.",
        verdict="wrong",
        limit="Holds for what requires no grad, on the CPU.",
        lesson="An array has no history, and a write to it is not counted. `detach().numpy()` shares the bytes; "
        "`detach().clone().numpy()` has its own.",
        code="""\
import torch
x = torch.ones(2, requires_grad=True)
print(x.detach().numpy().tolist())  # [1.0, 1.0]
x.numpy()  # raises RuntimeError: Can't call numpy() on Tensor that requires grad
""",
        words=("numpy", "dlpack", "deepcopy"),
    ),
    Example(
        id="E63",
        said_by=("forums",),
        topic="graph",
        title="what a custom backward must give",
        claim="The `backward` of a custom function returns the gradients that it has.",
        verdict="wrong",
        lesson="It returns one for each input of `forward`, in order, and `None` for those that have none.",
        code="""\
import torch
class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x * factor
    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.factor
x = torch.ones(2, requires_grad=True)
Scale.apply(x, 3).sum().backward()  # raises RuntimeError: returned an incorrect number of gradients
""",
        words=("custom", "Function", "mark_dirty", "hook", "checkpoint"),
    ),
    Example(
        id="E64",
        said_by=("forums",),
        topic="basics",
        title="shapes that do not meet",
        claim="Broadcasting makes any two shapes fit.",
        verdict="imprecise",
        limit="Holds where sizes are equal or one, counted from the last dimension.",
        lesson="A size of one is repeated; any other difference is refused. "
        "In place there is one rule more: the result must have the shape of the tensor that is written.",
        code="""\
import torch
print(tuple((torch.ones(2, 1) + torch.ones(1, 3)).shape))  # (2, 3)
a, b = torch.ones(2), torch.ones(3)
a + b  # raises RuntimeError: The size of tensor a (2) must match the size of tensor b (3)
""",
        words=("broadcast", "shape", "size"),
    ),
)

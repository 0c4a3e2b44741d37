"""Worked examples: leaves, which autograd does not let anyone overwrite."""

from __future__ import annotations

from inplace.examples.example import Example

_TOPIC = "leaves"

LEAVES: tuple[Example, ...] = (
    Example(
        id="E11",
        said_by=("guide",),
        topic=_TOPIC,
        title="the leaf error",
        claim="An in-place call on a leaf that requires a gradient raises an error.",
        verdict="right",
        lesson="The call itself raises, before anything is written: the values of `x` are as they were.",
        code="""\
import torch
x = torch.tensor([1., 2., 3.], requires_grad=True)
x.add_(10)  # raises RuntimeError: a leaf Variable that requires grad is being used in an in-place operation.
""",
    ),
    Example(
        id="E12",
        said_by=("guide",),
        topic=_TOPIC,
        title="a new tensor instead of a write to a leaf",
        claim="`y = x.add(10)` works where `x.add_(10)` raises.",
        verdict="right",
        lesson="`y` is a new tensor that autograd knows how to go back from, and `x` is still the leaf.",
        code="""\
import torch
x = torch.tensor([1., 2., 3.], requires_grad=True)
y = x.add(10)
print(y.tolist())  # [11.0, 12.0, 13.0]
print(y.grad_fn.name())  # AddBackward0
print(x.is_leaf, y.is_leaf)  # True False
""",
    ),
    Example(
        id="E20",
        said_by=("lesson",),
        topic=_TOPIC,
        title="plus makes a node of the graph",
        claim="`y = x + 5` on a leaf gives a tensor with a gradient function.",
        verdict="right",
        lesson="The plus sign is `add`: new memory, and one node in the graph.",
        code="""\
import torch
x = torch.tensor([1., 2., 3.], requires_grad=True)
y = x + 5
print(y.tolist())  # [6.0, 7.0, 8.0]
print(y.grad_fn.name())  # AddBackward0
""",
    ),
    Example(
        id="E22",
        said_by=("lesson",),
        topic=_TOPIC,
        title="which line raises for a leaf",
        claim="If a leaf is changed in place after the loss was computed, `backward` fails.",
        verdict="wrong",
        lesson="`add_` raises at once. `backward` is never reached, so there is nothing to look for there.",
        code="""\
import torch
x = torch.tensor([1., 2.], requires_grad=True)
loss = (x * 2).sum()
x.add_(10)  # raises RuntimeError: a leaf Variable that requires grad is being used in an in-place operation.
loss.backward()
""",
    ),
    Example(
        id="E23",
        said_by=("lesson",),
        topic=_TOPIC,
        title="a leaf after backward",
        claim="Once `backward` has run, a leaf may be changed in place.",
        verdict="wrong",
        lesson="A leaf that requires a gradient is refused at any time. Under `torch.no_grad()` it may be written, "
        "which is what optimizers do.",
        code="""\
import torch
x = torch.tensor([1., 2.], requires_grad=True)
(x * 3).sum().backward()
with torch.no_grad():
    x.add_(100)
print(x.tolist())  # [101.0, 102.0]
x.add_(100)  # raises RuntimeError: a leaf Variable that requires grad is being used in an in-place operation.
""",
    ),
    Example(
        id="E24",
        said_by=("lesson",),
        topic=_TOPIC,
        title="the gradient of a product with a constant",
        claim="The gradient of `x * 3`, started with ones, is 3 for every element.",
        verdict="right",
        lesson="The gradient does not depend on the values of `x`, so nothing of `x` has to be kept for it.",
        code="""\
import torch
x = torch.tensor([1., 2.], requires_grad=True)
(x * 3).backward(torch.ones(2))
print(x.grad)  # tensor([3., 3.])
""",
    ),
    Example(
        id="E26",
        said_by=("lesson",),
        topic=_TOPIC,
        title="two errors that look alike",
        claim="There are two errors to know: one about leaves, one about values that backward needed.",
        verdict="right",
        lesson="The leaf error comes from the write, so work on a new tensor or under `no_grad`. The other one comes "
        "from `backward`, so look for the write between the forward call and there.",
        code="""\
import torch
x = torch.tensor([1., 2.], requires_grad=True)
try:
    x.add_(1)
except RuntimeError as error:
    print("leaf" in str(error))  # True
y = x.exp()
y.add_(1)
y.sum().backward()  # raises RuntimeError: modified by an inplace operation
""",
    ),
    Example(
        id="E28",
        said_by=("lesson",),
        topic=_TOPIC,
        title="predict: which of the two raises",
        claim="For a leaf `x`, `x.add_(5)` raises and `x.add(5)` does not.",
        verdict="right",
        lesson="Say which line will raise before you run this. `add` leaves the leaf alone; `add_` would replace the "
        "very values that the gradient is asked for.",
        code="""\
import torch
x = torch.tensor([1., 2., 3.], requires_grad=True)
print(x.add(5).tolist())  # [6.0, 7.0, 8.0]
x.add_(5)  # raises RuntimeError: a leaf Variable that requires grad is being used in an in-place operation.
""",
    ),
    Example(
        id="E31",
        said_by=("article",),
        topic=_TOPIC,
        title="adding a tensor to a leaf",
        claim="Adding another tensor to a leaf in place is a thing to avoid.",
        verdict="right",
        limit="Leaves unsaid that PyTorch refuses it.",
        lesson="It cannot even be done: the call raises the leaf error.",
        code="""\
import torch
x = torch.tensor([1., 2., 3.], requires_grad=True)
y = torch.tensor([4., 5., 6.])
x.add_(y)  # raises RuntimeError: a leaf Variable that requires grad is being used in an in-place operation.
""",
    ),
    Example(
        id="E32",
        said_by=("article",),
        topic=_TOPIC,
        title="the name that lost its leaf",
        claim="`x = x + y` is the correct form, and after `backward` the gradient is in `x.grad`.",
        verdict="wrong",
        lesson="The name `x` now means the sum, which is no leaf: `x.grad` is None, with a warning. The leaf got its "
        "gradient, but no name is left for it.",
        code="""\
import torch
x = torch.tensor([1., 2., 3.], requires_grad=True)
leaf = x
x = x + torch.tensor([4., 5., 6.])
x.sum().backward()
print(x.is_leaf, leaf.is_leaf)  # False True
print(leaf.grad)  # tensor([1., 1., 1.])
print(x.grad)  # None
""",
    ),
    Example(
        id="E33",
        said_by=("article",),
        topic=_TOPIC,
        title="the same with a product",
        claim="`x = x * y` is the correct form, and after `backward` the gradient is in `x.grad`.",
        verdict="wrong",
        lesson="Again the name has moved on to a result. Give the result a name of its own, and `x.grad` is there.",
        code="""\
import torch
x = torch.tensor([1., 2., 3.], requires_grad=True)
leaf = x
x = x * torch.tensor([2., 2., 2.])
x.sum().backward()
print(leaf.grad)  # tensor([2., 2., 2.])
print(x.grad)  # None
""",
    ),
    Example(
        id="E37",
        said_by=("article",),
        topic=_TOPIC,
        title="out of place is not always enough",
        claim="Writing every in-place call as an ordinary one always gives correct gradients.",
        verdict="imprecise",
        limit="Holds for the values; the name of the leaf must not be given to the result.",
        lesson="The values and the gradients are right. But if the result takes over the leaf's name, the gradient "
        "is in a tensor that you can no longer reach: use a new name.",
        code="""\
import torch
x = torch.tensor([1., 2.], requires_grad=True)
y = x * 3
y.sum().backward()
print(x.grad)  # tensor([3., 3.])
x = x * 3
x.sum().backward()
print(x.is_leaf, x.grad)  # False None
""",
    ),
)

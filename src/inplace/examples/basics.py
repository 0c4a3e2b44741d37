"""Worked examples: the pairs of operations, and what the underscore changes."""

from __future__ import annotations

from inplace.examples.example import Example

_TOPIC = "basics"

BASICS: tuple[Example, ...] = (
    Example(
        id="E01",
        said_by=("guide",),
        topic=_TOPIC,
        title="add makes a tensor, add_ changes one",
        claim="`a.add(10)` leaves `a` alone, and `a.add_(10)` changes it.",
        verdict="right",
        lesson="`add` puts its result into new memory. `add_` writes into the memory of `a` and counts the write: "
        "the version of `a` goes from 0 to 1.",
        code="""\
import torch
a = torch.tensor([1, 2, 3])
b = a.add(10)
print(a)  # tensor([1, 2, 3])
a.add_(10)
print(a)  # tensor([11, 12, 13])
print(a._version, b._version)  # 1 0
""",
    ),
    Example(
        id="E02",
        said_by=("guide",),
        topic=_TOPIC,
        title="adding two tensors",
        claim="`add` and `add_` with a second tensor give the same numbers.",
        verdict="right",
        lesson="The arithmetic is the same; only the memory that the result goes to differs.",
        code="""\
import torch
a = torch.tensor([10, 20, 30, 40])
b = torch.tensor([1, 2, 3, 4])
print(a.add(b))  # tensor([11, 22, 33, 44])
print(a.add_(b))  # tensor([11, 22, 33, 44])
""",
    ),
    Example(
        id="E03",
        said_by=("guide",),
        topic=_TOPIC,
        title="subtracting two tensors",
        claim="`sub` and `sub_` with a second tensor give the same numbers.",
        verdict="right",
        lesson="The arithmetic is the same; `sub_` puts the difference where `a` was.",
        code="""\
import torch
a = torch.tensor([100, 200, 300])
b = torch.tensor([10, 20, 30])
print(a.sub(b))  # tensor([ 90, 180, 270])
print(a.sub_(b))  # tensor([ 90, 180, 270])
""",
    ),
    Example(
        id="E04",
        said_by=("guide",),
        topic=_TOPIC,
        title="multiplying two tensors",
        claim="`mul` and `mul_` with a second tensor give the same numbers.",
        verdict="right",
        lesson="The products are the same; `mul_` puts them where `a` was, and `b` stays as it is.",
        code="""\
import torch
a = torch.tensor([2, 3, 4, 5])
b = torch.tensor([10, 20, 30, 40])
print(a.mul(b))  # tensor([ 20,  60, 120, 200])
print(a.mul_(b))  # tensor([ 20,  60, 120, 200])
""",
    ),
    Example(
        id="E05",
        said_by=("guide",),
        topic=_TOPIC,
        title="dividing floats, and integers",
        claim="`div_` does to a tensor what `div` does beside it.",
        verdict="imprecise",
        limit="Holds for floats; `div_` refuses integers.",
        lesson="So it is for floats. The quotient of integers is a float, which has no room in an integer tensor, "
        "so `div` gives a new float tensor and `div_` raises.",
        code="""\
import torch
a = torch.tensor([100., 200., 300.])
print(a.div_(torch.tensor([4., 5., 6.])))  # tensor([25., 40., 50.])
n = torch.tensor([100, 200, 300])
print(n.div(4))  # tensor([25., 50., 75.])
n.div_(4)  # raises RuntimeError: result type Float can't be cast to the desired output type Long
""",
    ),
    Example(
        id="E06",
        said_by=("guide",),
        topic=_TOPIC,
        title="a chain of writes",
        claim="Calls with an underscore can be chained, and each one changes the same tensor.",
        verdict="right",
        lesson="Every call returns the tensor that it wrote to, so the whole chain works on one object. "
        "Three writes, and its version is 3.",
        code="""\
import torch
a = torch.tensor([1., 2., 3., 4.])
end = a.add_(10).mul_(2).sub_(5)
print(a)  # tensor([17., 19., 21., 23.])
print(end is a, a._version)  # True 3
""",
    ),
    Example(
        id="E07",
        said_by=("guide",),
        topic=_TOPIC,
        title="fill and zero",
        claim="`fill_(0)` and `zero_()` both leave a tensor full of zeros.",
        verdict="right",
        lesson="Both overwrite every element and keep the shape, the type and the memory.",
        code="""\
import torch
a = torch.tensor([1, 2, 3, 4, 5])
b = torch.tensor([10., 20., 30.])
print(a.fill_(0))  # tensor([0, 0, 0, 0, 0])
print(b.zero_())  # tensor([0., 0., 0.])
""",
    ),
    Example(
        id="E08",
        said_by=("guide",),
        topic=_TOPIC,
        title="clamp to a range",
        claim="`clamp_` cuts the values off at both ends of a range.",
        verdict="right",
        lesson="What lies below `min` becomes `min`, what lies above `max` becomes `max`; the old values are gone.",
        code="""\
import torch
a = torch.tensor([-5., -1., 0., 3., 10.])
a.clamp_(min=0, max=5)
print(a)  # tensor([0., 0., 0., 3., 5.])
""",
    ),
    Example(
        id="E09",
        said_by=("guide",),
        topic=_TOPIC,
        title="abs, then neg",
        claim="`abs_` drops the signs, and `neg_` after it makes every value negative.",
        verdict="right",
        lesson="The second write starts from what the first one left; the signs of the start cannot be had back.",
        code="""\
import torch
a = torch.tensor([-3., -1., 2., 5.])
print(a.abs_())  # tensor([3., 1., 2., 5.])
print(a.neg_())  # tensor([-3., -1., -2., -5.])
""",
    ),
    Example(
        id="E10",
        said_by=("guide",),
        topic=_TOPIC,
        title="which calls come in pairs",
        claim="add, sub, mul, div, clamp, abs and neg come in both forms, and `fill_` and `zero_` in one only.",
        verdict="imprecise",
        limit="The two others have functions for twins.",
        lesson="The seven pairs are there. The two others have no method, and functions instead: `torch.fill` or "
        "`torch.full_like`, and `torch.zeros_like`, give the same values in new memory.",
        code="""\
import torch
names = ["add", "sub", "mul", "div", "clamp", "abs", "neg"]
print(all(hasattr(torch.Tensor, n) and hasattr(torch.Tensor, n + "_") for n in names))  # True
a = torch.tensor([1., 2.])
b = torch.fill(a, 7)
c = torch.zeros_like(a)
print(a.tolist(), b.tolist(), c.tolist())  # [1.0, 2.0] [7.0, 7.0] [0.0, 0.0]
""",
    ),
    Example(
        id="E29",
        said_by=("page",),
        topic=_TOPIC,
        title="two scalars",
        claim="For 4 and 3, `x.add(y)` is 7 and `x` stays 4; after `x.add_(y)` it is `x` that is 7.",
        verdict="right",
        lesson="A tensor of one number follows the same rule as a large one.",
        code="""\
import torch
x, y = torch.tensor(4), torch.tensor(3)
print(x.add(y), x)  # tensor(7) tensor(4)
print(x.add_(y), x)  # tensor(7) tensor(7)
""",
    ),
    Example(
        id="E30",
        said_by=("page",),
        topic=_TOPIC,
        title="which object comes back",
        claim="`z = x.add_(y)` is the very object `x`, and `z = x.add(y)` is another one.",
        verdict="right",
        lesson="A call with an underscore returns its own tensor. Ask with `is`: printed ids change from run to run.",
        code="""\
import torch
x, y = torch.tensor(4), torch.tensor(3)
print(x.add_(y) is x)  # True
print(x.add(y) is x)  # False
""",
    ),
)

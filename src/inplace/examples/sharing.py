"""Worked examples: several names, or several processes, on one memory."""

from __future__ import annotations

from inplace.examples.example import Example

_TOPIC = "sharing"

SHARING: tuple[Example, ...] = (
    Example(
        id="E15",
        said_by=("guide",),
        topic=_TOPIC,
        title="a second name is no copy",
        claim="After `b = a`, an in-place call on `a` changes `b` too.",
        verdict="right",
        lesson="There is one tensor with two names. The assignment copies nothing.",
        code="""\
import torch
a = torch.tensor([1, 2, 3])
b = a
a.add_(10)
print(a, b)  # tensor([11, 12, 13]) tensor([11, 12, 13])
print(b is a)  # True
""",
    ),
    Example(
        id="E16",
        said_by=("guide",),
        topic=_TOPIC,
        title="clone makes a copy",
        claim="After `b = a.clone()`, an in-place call on `a` leaves `b` alone.",
        verdict="right",
        lesson="`clone` copies the values into memory of its own, so there are two tensors and two storages.",
        code="""\
import torch
a = torch.tensor([1, 2, 3])
b = a.clone()
a.add_(10)
print(a, b)  # tensor([11, 12, 13]) tensor([1, 2, 3])
print(a.data_ptr() == b.data_ptr())  # False
""",
    ),
    Example(
        id="E21",
        said_by=("lesson",),
        topic=_TOPIC,
        title="a check that proves nothing",
        claim="That `id(a) == id(a)` holds after `a.add_(5)` shows that the call kept the same object.",
        verdict="wrong",
        lesson="It holds after any call at all. Keep the address from before and compare with it: "
        "`add_` keeps it, `a = a.add(5)` does not.",
        code="""\
import torch
a = torch.tensor([1, 2, 3])
before = a.data_ptr()
a.add_(5)
print(id(a) == id(a), a.data_ptr() == before)  # True True
kept = a
a = a.add(5)
print(id(a) == id(a), a.data_ptr() == before)  # True False
""",
    ),
    Example(
        id="E36",
        said_by=("article",),
        topic=_TOPIC,
        title="two processes, one tensor",
        claim="Where several processes share a tensor, one may change it in place while another computes with it.",
        verdict="right",
        limit="The underscore is not what loses updates: reading and then writing without a lock is.",
        lesson="Every process sees the new values at once. But each has a version counter of its own, so autograd "
        "here does not notice a write over there: no error, and a gradient of 2 where 1 is right.",
        code="""\
import os
import torch
a = torch.ones(1).share_memory_()
x = torch.ones(1, requires_grad=True)
y = x * a
if (child := os.fork()) == 0:  # not on Windows
    a.add_(1)
    os._exit(0)
os.waitpid(child, 0)
y.backward()
print(a.item(), a._version)  # 2.0 0
print(x.grad)  # tensor([2.])
""",
    ),
)

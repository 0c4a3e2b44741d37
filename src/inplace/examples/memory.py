"""Worked examples: what in-place calls save."""

from __future__ import annotations

from inplace.examples.example import Example

_TOPIC = "memory"

MEMORY: tuple[Example, ...] = (
    Example(
        id="E19",
        said_by=("guide",),
        topic=_TOPIC,
        title="the bytes that a write saves",
        claim="In-place calls need less memory for large tensors.",
        verdict="right",
        limit="Holds for the call itself; the peak of a training step need not fall.",
        lesson="Each ordinary call allocates a result as large as its input; the in-place form allocates nothing. "
        "What is saved is what backward does not need in any case.",
        code="""\
import torch
a = torch.zeros(1_000_000)
b = a.mul(2)
print(b.untyped_storage().nbytes())  # 4000000
print(b.data_ptr() == a.data_ptr())  # False
c = a.mul_(2)
print(c.data_ptr() == a.data_ptr())  # True
""",
    ),
    Example(
        id="E27",
        said_by=("lesson",),
        topic=_TOPIC,
        title="from which batch size it pays",
        claim="A profiler does not show the gain; it appears for batches of over 1000 on large models.",
        verdict="measured",
        limit="The bytes contradict it at every size; the times are this machine's.",
        lesson="The bytes saved grow evenly with the batch and can be seen from the first row on. The time saved "
        "depends on the machine, so measure it on yours.",
        code="""\
import time
import torch
for batch in (10, 100, 1000, 10000):
    for name in ("relu", "relu_"):
        a = torch.ones(batch, 256)
        start = time.perf_counter()
        b = getattr(a, name)()
        spent = time.perf_counter() - start
        new = 0 if b is a else b.untyped_storage().nbytes()
        text = f"{name:5} {batch:5} rows: {new:8} new bytes, {spent * 1e6:.0f} us"
        print(text)
""",
    ),
)

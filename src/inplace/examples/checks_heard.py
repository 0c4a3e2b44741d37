"""Checks of the sentences that are heard often."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch.utils.data import TensorDataset

from inplace.examples.evidence import LEAF, Evidence, backward, error_of, judged, leaf, told


def _e38() -> Evidence:
    a = torch.zeros(3)
    a[0] = 1
    a += 1
    torch.add(a, 1, out=a)
    torch.nn.functional.relu(a, inplace=True)
    without, before = a._version, a._version
    a.requires_grad_()
    text = f"four writes without an underscore count {without}; requires_grad_ counts {a._version - before}"
    return judged(not without and a._version > before, text, "imprecise" if without else "wrong")


def _e39() -> Evidence:
    table = torch.ones(2, 2)
    table[0].zero_()
    layer = torch.nn.Linear(1, 1)
    torch.nn.init.zeros_(layer.weight)
    best = layer.state_dict()
    torch.nn.init.ones_(layer.weight)
    kept = best["weight"].item()
    text = f"zero_ on a row leaves the table at {table.tolist()}; a kept state_dict went from 0.0 to {kept}"
    return judged(table.tolist() == [[1.0, 1.0], [1.0, 1.0]] and kept == 0.0, text)


def _after_epochs(write: Callable[[torch.Tensor], object]) -> list[float]:
    data = TensorDataset(torch.tensor([1.0, 3.0]).reshape(2, 1))
    for _ in range(2):
        for index in range(len(data)):
            write(data[index][0])
    return data.tensors[0].flatten().tolist()


def _e40() -> Evidence:
    drifted, kept = _after_epochs(lambda row: row.sub_(1)), _after_epochs(lambda row: row.clone().sub_(1))
    text = f"two epochs of row -= 1 leave the data at {drifted}; of a copy of each row at {kept}"
    return judged(drifted == kept, text, "imprecise" if kept == [1.0, 3.0] else "wrong")


def _e41() -> Evidence:
    x = leaf(1.0, 2.0)
    y = x * 1
    y[0] = y[1] * 5
    name = "no node" if y.grad_fn is None else y.grad_fn.name()
    error = error_of(lambda: backward(y))
    grad = None if x.grad is None else x.grad.tolist()
    text = f"the base has {name}; backward {told(error)}, gradient {grad}"
    return judged(grad != [0.0, 6.0], text)


def _e42() -> Evidence:
    x = leaf(1.0, 2.0)
    with torch.no_grad():
        unrecorded = error_of(lambda: x.add_(5))
    y = x * 1
    result, refused = error_of(lambda: y.add_(5)), error_of(lambda: x.add_(5))
    text = f"add_ on the leaf {told(refused)}; under no_grad it {told(unrecorded)}, on a result {told(result)}"
    return judged(bool(refused and unrecorded and result), text, "imprecise" if LEAF in refused else "wrong")


def _e43() -> Evidence:
    x = leaf(1.0, 2.0, 3.0)
    shown = [repr(x), repr(x + 5)]
    told_so = "requires_grad=True" in shown[0] and "grad_fn=<AddBackward0>" in shown[1]
    return judged(not told_so, f"a leaf prints {shown[0]}, a result {shown[1]}", "imprecise")


def _e44() -> Evidence:
    x = leaf(1.0, 2.0, 3.0)
    write = error_of(lambda: x.add_(torch.tensor([4.0, 5.0, 6.0])))
    return judged(not write, f"add_ {told(write)}, so nothing after it runs; x.grad is {x.grad}")


def _e45() -> Evidence:
    parts = []
    for size in (10, 1_000_000):
        a = torch.ones(size)
        times = [_microseconds(getattr(a, name)) for name in ("mul", "mul_")]
        parts.append(f"{size:,} elements: mul {times[0]:.1f} us, mul_ {times[1]:.1f} us")
    return Evidence("measured", "; ".join(parts))


def _microseconds(call: Callable[[int], object]) -> float:
    spent = []
    for _ in range(20):
        start = time.perf_counter()
        call(1)
        spent.append(time.perf_counter() - start)
    return min(spent) * 1e6


def _e46() -> Evidence:
    first, second = _trained(), _trained()
    same = torch.equal(first, second)
    text = f"two trainings with in-place calls and one seed end in the same bits: {same}; parallel models: not measured"
    return judged(not same, text, "imprecise")


def _trained() -> torch.Tensor:
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 3)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        backward(layer(torch.randn(4, 3)).add_(1).relu_())
        optimizer.step()
    return layer.weight.detach()


def _e47() -> Evidence:
    x = leaf(0.0)
    h = torch.sigmoid(x)
    h.data.fill_(0.9)
    error = error_of(lambda: backward(h))
    grad = None if x.grad is None else round(x.grad.item(), 4)
    return judged(bool(error) or grad == 0.25, f"backward {told(error)}; the gradient is {grad}, and 0.25 is right")  # noqa: PLR2004


def _e48() -> Evidence:
    x, mask = torch.zeros(3), torch.tensor([True, False, True])
    x[mask].add_(1)
    first = x.tolist()
    x[mask] += 1
    return judged(any(first), f"after x[mask].add_(1): {first}; after x[mask] += 1: {x.tolist()}")


def _e49() -> Evidence:
    x = leaf(1.0)
    y = x + 1
    y.mul_(3)
    name = "no node" if y.grad_fn is None else y.grad_fn.name()
    backward(y)
    grad = None if x.grad is None else x.grad.item()
    return judged(grad != 3.0, f"after mul_(3) the node is {name}; the gradient is {grad}")  # noqa: PLR2004


def _e50() -> Evidence:
    public = [name for name in dir(torch.Tensor) if not name.startswith("_") and not name.endswith("_")]
    methods = [name for name in public if callable(getattr(torch.Tensor, name))]
    twins = sum(hasattr(torch.Tensor, f"{name}_") for name in methods)
    torch.ones(1).add_(1)
    text = f"{twins} of {len(methods)} methods have one, in PyTorch {torch.__version__.partition('+')[0]}"
    return judged(2 * twins > len(methods), text)


def _e65() -> Evidence:
    a = torch.zeros(2)
    a.add_(1)
    once = a._version
    a[0] += 1
    twice = a._version - once
    a.unsqueeze_(0)
    shape = a._version - once - twice
    a.data.add_(1)
    unseen = a._version - once - twice - shape
    text = f"add_ counts {once}, a[0] += 1 counts {twice}, unsqueeze_ {shape}, a write through .data {unseen}"
    return judged((once, twice, shape, unseen) == (1, 1, 0, 1), text, "imprecise" if once == 1 else "wrong")


def _e66() -> Evidence:
    w = leaf(1.0)
    optimizer = torch.optim.SGD([w], lr=0.25)
    seen = []
    for _ in range(3):
        backward(2 * w)
        seen.append(None if w.grad is None else w.grad.item())
        optimizer.step()
    return judged(seen == [2.0, 2.0, 2.0], f"the gradient before three steps, with nothing cleared: {seen}")


HEARD = {
    "E38": _e38,
    "E39": _e39,
    "E40": _e40,
    "E41": _e41,
    "E42": _e42,
    "E43": _e43,
    "E44": _e44,
    "E45": _e45,
    "E46": _e46,
    "E47": _e47,
    "E48": _e48,
    "E49": _e49,
    "E50": _e50,
    "E65": _e65,
    "E66": _e66,
}

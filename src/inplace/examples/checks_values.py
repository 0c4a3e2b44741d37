"""Checks of what is said about values, names and memory."""

from __future__ import annotations

import os
import time

import torch

from inplace.examples.evidence import Evidence, backward, error_of, judged, leaf, new_bytes, told


def _twins(name: str, values: list[float], others: list[float], expected: list[float]) -> Evidence:
    """Whether both forms of an operation give what is expected, the ordinary one without changing its tensor."""
    a, b = torch.tensor(values), torch.tensor(others)
    new = getattr(a, name)(b).tolist()
    kept = a.tolist() == values
    written = getattr(a, f"{name}_")(b)
    holds = kept and written is a and new == a.tolist() == expected
    return judged(holds, f"{name} gives {new}, {name}_ gives {a.tolist()}")


def _e01() -> Evidence:
    a = torch.tensor([1, 2, 3])
    b = a.add(10)
    kept = a.tolist()
    a.add_(10)
    holds = kept == [1, 2, 3] and a.tolist() == b.tolist() == [11, 12, 13]
    return judged(holds, f"after add: {kept}; after add_: {a.tolist()}, version {a._version}")


def _e02() -> Evidence:
    return _twins("add", [10, 20, 30, 40], [1, 2, 3, 4], [11, 22, 33, 44])


def _e03() -> Evidence:
    return _twins("sub", [100, 200, 300], [10, 20, 30], [90, 180, 270])


def _e04() -> Evidence:
    return _twins("mul", [2, 3, 4, 5], [10, 20, 30, 40], [20, 60, 120, 200])


def _e05() -> Evidence:
    floats = _twins("div", [100.0, 200.0, 300.0], [4.0, 5.0, 6.0], [25.0, 40.0, 50.0])
    error = error_of(lambda: torch.tensor([100, 200]).div_(4))
    text = f"floats: {floats.text}; div_ of integers {told(error)}"
    return Evidence("imprecise", text) if floats.verdict == "right" and error else Evidence(floats.verdict, text)


def _e06() -> Evidence:
    a = torch.tensor([1.0, 2.0, 3.0, 4.0])
    end = a.add_(10).mul_(2).sub_(5)
    holds = end is a and a.tolist() == [17.0, 19.0, 21.0, 23.0]
    return judged(holds, f"{a.tolist()}, the same object: {end is a}, version {a._version}")


def _e07() -> Evidence:
    a = torch.tensor([1, 2, 3, 4, 5]).fill_(0).tolist()
    b = torch.tensor([10.0, 20.0, 30.0]).zero_().tolist()
    return judged(not any(a + b), f"fill_ leaves {a}, zero_ leaves {b}")


def _e08() -> Evidence:
    a = torch.tensor([-5.0, -1.0, 0.0, 3.0, 10.0])
    a.clamp_(min=0, max=5)
    return judged(a.tolist() == [0.0, 0.0, 0.0, 3.0, 5.0], f"{a.tolist()}")


def _e09() -> Evidence:
    a = torch.tensor([-3.0, -1.0, 2.0, 5.0])
    first, second = a.abs_().tolist(), a.neg_().tolist()
    holds = first == [3.0, 1.0, 2.0, 5.0] and second == [-3.0, -1.0, -2.0, -5.0]
    return judged(holds, f"abs_ leaves {first}, neg_ then {second}")


def _e10() -> Evidence:
    names = ("add", "sub", "mul", "div", "clamp", "abs", "neg")
    pairs = [name for name in names if hasattr(torch.Tensor, name) and hasattr(torch.Tensor, f"{name}_")]
    a = torch.ones(2)
    filled, zeroed = torch.fill(a, 7), torch.zeros_like(a)
    twins = filled.tolist() == [7.0, 7.0] and zeroed.tolist() == [0.0, 0.0] and a.tolist() == [1.0, 1.0]
    text = f"{len(pairs)} of {len(names)} pairs; torch.fill gives {filled.tolist()}, zeros_like {zeroed.tolist()}"
    return judged(len(pairs) == len(names) and not twins, text, "imprecise" if len(pairs) == len(names) else "wrong")


def _e15() -> Evidence:
    a = torch.tensor([1, 2, 3])
    b = a
    a.add_(10)
    return judged(b is a and b.tolist() == [11, 12, 13], f"b is {b.tolist()}, the same object: {b is a}")


def _e16() -> Evidence:
    a = torch.tensor([1, 2, 3])
    b = a.clone()
    a.add_(10)
    holds = b.tolist() == [1, 2, 3] and a.data_ptr() != b.data_ptr()
    return judged(holds, f"a is {a.tolist()}, b is {b.tolist()}, one memory: {a.data_ptr() == b.data_ptr()}")


def _e19() -> Evidence:
    a = torch.zeros(1_000_000)
    ordinary, in_place = new_bytes(a.mul(2), a), new_bytes(a.mul_(2), a)
    return judged(in_place < ordinary, f"mul allocates {ordinary:,} bytes, mul_ allocates {in_place:,}")


def _e21() -> Evidence:
    a = torch.tensor([1, 2, 3])
    before = a.data_ptr()
    a.add_(5)
    written, kept = id(a) == id(a), a.data_ptr() == before  # noqa: PLR0124
    first = a
    a = first.add(5)
    replaced, moved = id(a) == id(a), a.data_ptr() != before  # noqa: PLR0124
    tells = written and not replaced
    text = f"id(a) == id(a) after add_: {written}, after a = a.add: {replaced}; data_ptr kept: {kept}, {not moved}"
    return judged(tells, text)


def _e27() -> Evidence:
    saved, parts = [], []
    for batch in (10, 100, 1000, 4000):
        a = torch.ones(batch, 64)
        saved.append(new_bytes(a.relu(), a) - new_bytes(a.relu_(), a))
        times = f"relu {_time_of(a, 'relu'):.1f} us, relu_ {_time_of(a, 'relu_'):.1f} us"
        parts.append(f"{batch} rows: {saved[-1]:,} bytes saved, {times}")
    text = "; ".join(parts)
    if all(size > 0 for size in saved):
        return Evidence("measured", text)  # the bytes contradict the claim, and the times are this machine's
    return judged(saved[0] <= 0 < saved[-1], text)


def _time_of(a: torch.Tensor, name: str) -> float:
    """The fewest microseconds that a call has taken: what else runs on the machine can only add to it."""
    call, spent = getattr(a, name), []
    for _ in range(20):
        start = time.perf_counter()
        call()
        spent.append(time.perf_counter() - start)
    return min(spent) * 1e6


def _e29() -> Evidence:
    x, y = torch.tensor(4), torch.tensor(3)
    total, kept, written = x.add(y).item(), x.item(), x.add_(y).item()
    holds = (total, kept, written, x.item()) == (7, 4, 7, 7)
    return judged(holds, f"add gives {total} and leaves x at {kept}; after add_, x is {x.item()}")


def _e30() -> Evidence:
    x, y = torch.tensor(4), torch.tensor(3)
    written, new = x.add_(y) is x, x.add(y) is x
    return judged(written and not new, f"x.add_(y) is x: {written}; x.add(y) is x: {new}")


def _e36() -> Evidence:
    a, x = torch.ones(1), leaf(1.0)
    a.share_memory_()  # type: ignore[no-untyped-call]
    y = x * a
    if hasattr(os, "fork"):
        who = "another process"
        child = os.fork()
        if child == 0:
            try:
                a.add_(1)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
    else:
        who = "another tensor on the same memory"
        torch.empty(0).set_(a.untyped_storage(), 0, (1,), (1,)).add_(1)
    error = error_of(lambda: backward(y))
    grad = None if x.grad is None else x.grad.item()
    text = f"{who} added 1: here a is {a.item()}, version {a._version}; backward {told(error)}, gradient {grad}"
    return judged(a.item() == 2.0 and a._version == 0 and grad != 1.0, text)  # noqa: PLR2004


VALUES = {
    "E01": _e01,
    "E02": _e02,
    "E03": _e03,
    "E04": _e04,
    "E05": _e05,
    "E06": _e06,
    "E07": _e07,
    "E08": _e08,
    "E09": _e09,
    "E10": _e10,
    "E15": _e15,
    "E16": _e16,
    "E19": _e19,
    "E21": _e21,
    "E27": _e27,
    "E29": _e29,
    "E30": _e30,
    "E36": _e36,
}

"""Time and memory grow with the number of calls and no faster, counted in calls of Python and bytes, not in seconds."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch

import inplace
from inplace.capture.record import Recorder
from inplace.fixes.diagnose import analyze
from inplace.render.picture.diagram import diagram

PACKAGE = str(Path(inplace.__file__).parent)
MOST_BYTES = 250  # bytes a call, of a chain of small operations


def chain(count: int) -> None:
    """Tensors made, written and dropped."""
    z = torch.ones(4)
    for _ in range(count // 4):
        z = z * 1.01
        y = z + 1
        y.mul_(0.5)
        z = z - y


def training(count: int) -> None:
    """Steps of a small module, the same at each run: one whose ReLU lets no gradient through is looked at longer."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    batch = torch.ones(2, 4)
    for _ in range(count // 8):
        optimizer.zero_grad()
        net(batch).sum().backward()
        optimizer.step()


def slices(count: int) -> None:
    """In-place calls on parts of one tensor, each recorded as a `CopySlices`."""
    factors = [torch.ones(4) for _ in range(count // 3)]
    x = torch.ones(count // 3, 4, requires_grad=True) * 1
    for number, factor in enumerate(factors):
        x[number].mul_(factor)
    x.sum().backward()


def parameters(count: int) -> None:
    """Steps over many parameters, half of which get no gradient."""
    own = [torch.ones(2, requires_grad=True) for _ in range(count)]
    optimizer = torch.optim.SGD(own, lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        torch.stack(own[::2]).sum().backward()
        optimizer.step()


def optimizers(count: int) -> None:
    """Models that are trained by turns, each by an optimizer of its own."""
    own = [torch.ones(2, requires_grad=True) for _ in range(count // 4)]
    each = [torch.optim.SGD([one], lr=0.1) for one in own]
    for _ in range(3):
        for one, optimizer in zip(own, each, strict=True):
            optimizer.zero_grad()
            one.sum().backward()
            optimizer.step()


class Doubled(torch.autograd.Function):
    """A custom function with a call in its forward."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """Save the input."""
        ctx.save_for_backward(x)
        return x * 2

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        """Multiply by what was saved."""
        return grads[0] * 2


def custom(count: int) -> None:
    """Custom functions in a chain, of which each has saved a tensor that is written later, unseen."""
    x = torch.ones(4, requires_grad=True)
    kept = [x]
    for _ in range(count // 3):
        kept.append(Doubled.apply(kept[-1]) + 0.5)
    for one in kept[1:]:
        one.data.mul_(1.5)
    kept[-1].sum().backward()


def arrays(count: int) -> None:
    """Tensors over new arrays, and over one that stays, among ever more that are alive."""
    held, steady = [], np.ones(4, dtype=np.float32)
    for _ in range(count // 4):
        held.append(torch.from_numpy(np.ones(4, dtype=np.float32)) * 2)
        held.append(torch.from_numpy(steady) + 1)
        held.append(torch.nn.Parameter(held[-1]).detach())


def recorded(run: Callable[[int], None], count: int) -> Recorder:
    """A recording of a program of about `count` calls."""
    recorder = Recorder(title="growth", is_cell=lambda name: name == __file__)
    with recorder:
        run(count)
    return recorder


def size_of(value: Any, seen: set[int]) -> int:
    """The bytes of what our own containers hold, by going through them."""
    if id(value) in seen:
        return 0
    seen.add(id(value))
    total = sys.getsizeof(value)
    if isinstance(value, dict):
        return total + sum(size_of(key, seen) + size_of(one, seen) for key, one in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return total + sum(size_of(one, seen) for one in value)
    if isinstance(value, array | int | str | float) or not type(value).__module__.startswith("inplace.capture"):
        return total
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    inside = [getattr(value, name) for name in slots if hasattr(value, name)]
    return (
        total + sum(size_of(one, seen) for one in [*inside, *vars(value).values()])
        if hasattr(value, "__dict__")
        else (total + sum(size_of(one, seen) for one in inside))
    )


def bytes_while_recording(run: Callable[[int], None], count: int) -> int:
    """The bytes that a recorder holds at the end of a program, before it is frozen."""
    recorder = Recorder(title="growth", is_cell=lambda name: name == __file__)
    recorder.start()
    try:
        run(count)
        return size_of([recorder._parts.log, recorder._parts.seen], set())
    finally:
        recorder.stop()


def python_calls(action: Callable[[], Any]) -> int:
    """How many calls of Python functions something makes."""
    found = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal found
        found += event == "call"

    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
    return found


def lines_of_ours(action: Callable[[], Any]) -> int:
    """How many lines of this package something runs, each round of a loop anew."""
    found = 0

    def on_line(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal found
        found += event == "line"
        return on_line

    tracer = sys.gettrace()
    sys.settrace(lambda frame, event, argument: on_line if frame.f_code.co_filename.startswith(PACKAGE) else None)
    try:
        action()
    finally:
        sys.settrace(tracer)
    return found


@pytest.mark.parametrize("run", [chain, training])
def test_memory_is_linear_and_bounded(run: Callable[[int], None]) -> None:
    """Twice the calls take no more than twice the bytes (and what arrays keep free), each a bounded number."""
    small, large = (bytes_while_recording(run, count) for count in (4_000, 8_000))

    assert large - small < 4_000 * MOST_BYTES
    assert large < 2.3 * small


@pytest.mark.parametrize("run", [chain, training])
def test_work_is_linear(run: Callable[[int], None]) -> None:
    """The last thousand calls cost what those before them cost, in calls of Python."""
    recorded(run, 400)  # what is looked up once
    one, two, three = (python_calls(lambda count=count: recorded(run, count)) for count in (2_000, 4_000, 6_000))

    assert three - two == pytest.approx(two - one, rel=0.05)


@pytest.mark.parametrize("run", [chain, training])
@pytest.mark.parametrize("what", [analyze, lambda trace: diagram(analyze(trace))], ids=["analysis", "picture"])
def test_looking_is_linear(run: Callable[[int], None], what: Callable[[Any], Any]) -> None:
    """Analysis and picture of twice the calls cost at most twice the calls of Python, and a little."""
    first, small, large = (recorded(run, count).trace for count in (400, 2_000, 4_000))
    what(first)  # what is looked up once

    assert python_calls(lambda: what(large)) < 2.2 * python_calls(lambda: what(small))


@pytest.mark.parametrize("run", [slices, custom, arrays, parameters, optimizers])
def test_no_loop_goes_through_all_calls(run: Callable[[int], None]) -> None:
    """What is looked up for each node or array is found without asking every call or tensor: to record and to look."""

    def all_of(count: int) -> None:
        diagram(analyze(recorded(run, count).trace))

    all_of(120)  # what is looked up once
    one, two, three = (lines_of_ours(lambda count=count: all_of(count)) for count in (300, 600, 900))

    assert three - two < 1.25 * (two - one)

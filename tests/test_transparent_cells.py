"""What a generator, a task or a cell leaves open goes on as it does without us, whichever part of it is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
import torch

import inplace
from tests.both_ways import Doubling, changed_by_recording
from tests.test_magic import Shell, make  # noqa: F401  # a fixture

T = TypeVar("T")


def modes() -> Any:
    """The user's modes above ours, left by an error, and within a call."""
    found = [torch.ones(1) + 1]
    with Doubling():
        found.append(torch.ones(1) + 1)
        try:
            with Doubling():
                torch.ones(2).view(3)
        except RuntimeError:
            found.append(torch.ones(1) + 1)
        with torch.device("meta"):
            found.append(torch.ones(1) + 1)
    return found, torch.ones(1) + 1


def _held(context: Callable[[], Any]) -> Generator[Any, Any, Any]:
    with context():
        sent = yield torch.ones(2, requires_grad=True) + 1
        try:
            yield (sent + 1) * torch.ones(2, requires_grad=True)
        finally:
            (sent * 2).add_(1)


def generators() -> Any:
    """Generators that hold `no_grad` or a mode open while others run; closed, thrown into, and left to die."""
    found: list[Any] = []
    for context in (torch.no_grad, torch.enable_grad, lambda: torch.autocast("cpu"), Doubling):
        one = _held(context)
        found += [next(one), torch.ones(1, requires_grad=True) + 1, one.send(torch.ones(2)), torch.is_grad_enabled()]
        one.close()
        two = _held(context)
        next(two)
        try:
            two.throw(KeyError("thrown"))
        except KeyError as error:
            found.append(error)
        three = _held(context)
        found += [next(three), torch.is_grad_enabled()]
        del three
    return found, torch.ones(1) + 1


def coroutines() -> Any:
    """Two tasks that take turns, one of them with gradients off, one cancelled."""
    order: list[Any] = []

    async def work(name: str, context: Callable[[], Any]) -> torch.Tensor:
        total = torch.zeros(1, requires_grad=True) + 0
        for _ in range(3):
            with context():
                total = total + 1
            order.append((name, total.requires_grad))
            await asyncio.sleep(0)
        return total

    async def main() -> Any:
        third = asyncio.ensure_future(work("c", torch.enable_grad))
        pair = asyncio.gather(work("a", torch.no_grad), work("b", torch.enable_grad))
        await asyncio.sleep(0)
        third.cancel()
        return [*await pair, third.cancelled() or third.cancelling()]

    return asyncio.run(main()), order


@pytest.mark.parametrize("program", [coroutines, generators, modes], ids=lambda program: program.__name__)
def test_turns_are_taken_as_ever(program: Callable[[], Any]) -> None:
    """Within one recording, values, order and modes are those without it."""
    assert apart(changed_by_recording, program) == []


# ---------------------------------------------------------------- cells

DEFINED = """
import asyncio
def held(context):
    with context():
        x = yield torch.ones(2, requires_grad=True) + 1
        yield (x + 1) * torch.ones(2, requires_grad=True)
class Doubling(torch.overrides.TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        return result * 2 if func is torch.Tensor.add else result
def modes():
    on = [type(mode).__name__ for mode in torch.overrides._get_current_function_mode_stack()]
    return [name for name in on if name == "Doubling"]
order = []
async def work(name):
    for number in range(3):
        order.append((name, torch.ones(1).add_(number).item()))
        await asyncio.sleep(0)
    return torch.ones(1).mul_(3)
"""
GENERATORS = [
    "one = held({0}); two = held({0}); print(next(one), torch.is_grad_enabled(), modes())",
    "print(next(two), torch.ones(1, requires_grad=True) + 1, modes())",
    "print(one.send(torch.ones(2)), torch.ones(1, requires_grad=True) + 1)",
    "one.close(); print(torch.ones(1, requires_grad=True) + 1, torch.is_grad_enabled(), modes())",
    "print(two.send(torch.ones(2)) + 1, modes()); two.close(); print(torch.ones(1, requires_grad=True) + 1)",
    "print(torch.ones(1) + 1, modes(), torch.is_grad_enabled())",
]
TASKS = [
    "task = asyncio.ensure_future(work('a')); first = await work('b'); print(order)",
    "both = await asyncio.gather(work('c'), work('d')); print(both, order)",
    "print(await task, order, torch.ones(1) + 1)",
]
FAILURES = [
    "w = torch.ones(2, requires_grad=True); opt = torch.optim.SGD([w], lr=0.1); w.sum().backward()",
    "h = (w * 2).exp(); h.add_(1)\ntry:\n    h.sum().backward()\nexcept RuntimeError as error:\n    kept = error",
    "import traceback\nprint(traceback.extract_tb(kept.__traceback__)[-1].name, w.grad)",
    "try:\n    raise ValueError('2nd') from kept\nexcept ValueError as error:\n    print(repr(error.__cause__)[:60])",
    "opt.step(); opt.zero_grad(); print(w, w.grad, w._version)",
]


@pytest.mark.parametrize(
    "cells",
    [
        pytest.param([cell.format("torch.no_grad") for cell in GENERATORS], id="generators that hold no_grad open"),
        pytest.param([cell.format("Doubling") for cell in GENERATORS], id="generators that hold a mode open"),
        pytest.param(
            [cell.format("lambda: torch.device('meta')") for cell in GENERATORS],
            id="generators that hold a device open",
            marks=pytest.mark.xfail(reason="torch.device pops whatever mode is on top, in C++: ours, if it is older"),
        ),
        pytest.param(TASKS, id="tasks that take turns"),
        pytest.param(FAILURES, id="an error that is kept"),
    ],
)
def test_what_cells_leave_open_goes_on(make: Callable[[], Shell], cells: list[str]) -> None:  # noqa: F811  # fixture
    """Every cell prints what it prints without us."""
    expected = apart(printed, make(), cells, set())
    every = set(range(len(cells)))

    assert any(expected)
    for chosen in [*({number} for number in every), *(every - {number} for number in every), every]:
        assert (chosen, apart(printed, make(), cells, chosen)) == (chosen, expected)


def apart(act: Callable[..., T], *args: Any) -> T:
    """What `act` gives in a thread of its own: that of the tests may be in the event loop that drives the browser."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(act, *args).result()


def printed(shell: Shell, cells: list[str], chosen: set[int]) -> list[str]:
    """What each of the cells prints where those that are chosen are recorded."""
    told = []
    try:
        assert shell.run(DEFINED).result.success
        for number, cell in enumerate(cells):
            ran = shell.run(("%%inplace --quiet\n" if number in chosen else "\n") + cell)
            assert ran.result.success
            assert number not in chosen or [note.text for note in inplace.last.trace.notes] == []
            told.append(ran.stdout)
    finally:
        torch.set_grad_enabled(True)  # such generators leave behind what they found
        while torch.overrides._get_current_function_mode_stack():
            torch.overrides._pop_mode()
    return told

"""The gradient of one backward against finite differences, in double precision, along a few random directions.

NOTE [ Finite differences of a program ]
The code runs again and again, each time up to the backward that is judged: once to take its gradient, and twice for
each direction with every leaf moved a little forth and back, right before the first call of that backward's graph that
uses it. Calls are known by their number, so runs that do not call the same functions show nothing; each begins in a
process of its own, for what compilers and modules remember. Our mode is off where PyTorch would do something else
because of it. What is compared is what was called backward on. What the code takes out of the graph
on purpose (`detach`, `no_grad`, `.item()`) has to stay what it was: such results are kept from the first run and given
out again in the others, but for aliases through which something is written, as in `y.data.mul_(2)`: that write changes
what the code computes, and a gradient that does not know of it is wrong.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.multiprocessing.reductions
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten

from inplace.capture.graph.walk import NodesBelow
from inplace.capture.patches.ledger import Ledger
from inplace.capture.patches.mode_off import ModeOff
from inplace.judge.tracing import is_traced

DIRECTIONS = 2
RUNS = 1 + 2 * DIRECTIONS  # of the code
_STEP = 1e-6
_RELATIVE, _ABSOLUTE = 1e-4, 1e-7
_MOST = 100_000_000  # elements kept of what leaves the graph
_TOLD = 120  # characters of an exception's message
_ENGINE = "_engine_run_backward"
_NOT_TWICE = "the code does not do the same twice"
# What makes tensors of what other processes send, which comes when it comes: workers of a DataLoader race.
_RECEIVING = frozenset({torch._utils.__file__, torch.multiprocessing.reductions.__file__})
_COMPILED = "CompiledFunctionBackward"
_OWN = {
    True: "compiled code may compute in another precision, or with derivatives of its own",
    False: "a custom function has a derivative of its own",
}


def _here(work: Callable[[], Any]) -> Any:
    """Do a run in this process."""
    return work()


class _ReachedError(BaseException):
    """The backward that is judged was reached; the code is not to go on."""


@dataclass(slots=True)
class _First:
    """What the first run is to tell the others.

    Attributes:
        called: the names of the functions that were called, in order.
        moved: by the number of a call, which of its tensors are leaves to be moved, each with the leaf's number.
        kept: by the number of a call, what it took out of the graph.
        written: the calls that gave out aliases through which something was written.
    """

    called: list[str] = field(default_factory=list)
    moved: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    kept: dict[int, Any] = field(default_factory=dict)
    written: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Told:
    """What a run gives.

    Attributes:
        value: of what the backward is called on; None where it was not reached.
        gradient: of the leaves that are moved, by number; from the first run only.
        own: why the gradient may be another and right all the same: a part of the graph is not PyTorch's.
        why: nothing can be compared.
        first: what the others are told.
    """

    first: _First
    value: float | None = None
    gradient: list[tuple[int, torch.Tensor | None]] = field(default_factory=list)
    own: str | None = None
    why: str | None = None


class _Run(TorchFunctionMode):
    """One run: numbers its calls, and moves leaves or notes their uses."""

    def __init__(self, first: _First, wanted: int, direction: tuple[int, float] | None) -> None:
        super().__init__()
        self._first, self._wanted, self._direction = first, wanted, direction
        self.told = _Told(first)
        self._process = os.getpid()  # a child of the code's inherits us, and is none of the run
        self._number = 0
        self._backwards = 0
        self._inside = 0  # a custom function, which computes without recording
        self._size = 0
        self._uses: list[tuple[int, int, int, tuple[int, ...]]] = []  # call, nodes from, to, leaves by id
        self._aliases: dict[int, int] = {}
        self._alive: list[torch.Tensor] = []

    # ------------------------------------------------------------ calls

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if os.getpid() != self._process or sys._getframe(1).f_code.co_filename in _RECEIVING:
            return func(*args, **kwargs)
        func, args, kwargs = _doubled(func, args, kwargs)
        name = getattr(func, "__name__", "")
        return self._called(name, lambda: func(*args, **kwargs), [*args, *kwargs.values()], is_custom=False)

    def apply(self, name: str, call: Callable[[], Any], args: list[Any]) -> Any:
        """A custom function, as which compiled code comes too."""
        return call() if os.getpid() != self._process else self._called(name, call, args, is_custom=True)

    def _called(self, name: str, call: Callable[[], Any], args: list[Any], *, is_custom: bool) -> Any:
        with torch._C.DisableTorchFunction():  # at a custom function we are on, and none of the calls is ours
            number = self._numbered(name)
            given = [one for one in tree_flatten(args)[0] if isinstance(one, torch.Tensor)]
            if self._direction is not None:
                for place, leaf in self._first.moved.get(number, ()):
                    _move(given[place], leaf, self._direction)
            begun, versions = _sequence(), [_version(one) for one in given]
        self._inside += is_custom
        try:
            result = call()
        finally:
            self._inside -= is_custom
        with torch._C.DisableTorchFunction():
            if self._direction is None:
                self._note_use(number, begun, given, versions)
            return result if self._inside or is_custom else self._without_path(number, given, result)

    def _note_use(self, number: int, begun: int, given: list[torch.Tensor], versions: list[int | None]) -> None:
        """Note the leaves that a call uses, and what it writes through aliases."""
        leaves = tuple(id(one) if one.is_leaf and one.requires_grad else 0 for one in given)
        if any(leaves):
            self._alive += [one for one in given if one.is_leaf and one.requires_grad]
            self._uses.append((number, begun, _sequence(), leaves))
        for tensor, before in zip(given, versions, strict=True):
            if before != _version(tensor) and _storage(tensor) in self._aliases:
                self._first.written.add(self._aliases[_storage(tensor)])

    def _numbered(self, name: str) -> int:
        """The number of a call of a function, from 1."""
        self._number += 1
        called = self._first.called
        if self._direction is None:
            called.append(name)
        elif self._number > len(called) or called[self._number - 1] != name:
            self.told.why = _NOT_TWICE
            raise _ReachedError
        return self._number

    def _without_path(self, number: int, given: list[torch.Tensor], result: Any) -> Any:
        """The result of a call; where it has left the graph, what the first run gave out there."""
        if isinstance(result, float) and given:
            if self._direction is None:
                self._first.kept[number] = result
            return self._first.kept.get(number, result)
        if not isinstance(result, torch.Tensor) or result.requires_grad or not result.is_floating_point():
            return result
        if not any(one.requires_grad for one in given) or any(one is result for one in given):
            return result
        if self._direction is None:
            self._size += result.numel()
            if self._size > _MOST:
                self.told.why = "too much leaves the graph to be kept"
                return result
            self._first.kept[number] = result.detach().clone()
            if _storage(result) in {_storage(one) for one in given}:
                self._aliases[id(result)] = number
                self._aliases[_storage(result)] = number
                self._alive.append(result)
            return result
        kept = self._first.kept.get(number)
        return result if kept is None or number in self._first.written else kept.clone()

    # ------------------------------------------------------------ backward

    def watched(self, engine: Callable[..., Any]) -> Callable[..., Any]:
        """The engine, which stops the code at the backward that is judged."""

        def run(roots: Any, grads: Any, *args: Any, **kwargs: Any) -> Any:
            if os.getpid() != self._process or is_traced():
                return engine(roots, grads, *args, **kwargs)
            if self._backwards < self._wanted:
                self._backwards += 1
                return engine(roots, grads, *args, **kwargs)
            with torch._C.DisableTorchFunction(), torch.no_grad():
                both = list(zip(roots, grads, strict=True))
                weights = [torch.ones_like(one) if grad is None else grad for one, grad in both]
                self.told.value = float(
                    sum((one.detach() * grad).sum() for one, grad in zip(roots, weights, strict=True))
                )
            if self._direction is None:
                with torch._C.DisableTorchFunction():
                    self._take(engine, tuple(roots), tuple(weights))
            raise _ReachedError

        return run

    def _take(self, engine: Callable[..., Any], roots: Any, weights: Any) -> None:
        """The gradient of every leaf, and before which call each is to be moved."""
        users: dict[int, tuple[torch.Tensor, int]] = {}
        for node in NodesBelow([one.grad_fn for one in roots if one.grad_fn is not None], limit=None).depth_first():
            if isinstance(node, torch.autograd.function.BackwardCFunction):
                self.told.own = _OWN[type(node).__name__ == _COMPILED]
            for below, _ in node.next_functions:
                if below is not None and below.name().endswith("AccumulateGrad"):
                    leaf, number = below.variable, node._sequence_nr()
                    known = users.get(id(leaf))
                    users[id(leaf)] = leaf, number if known is None else min(known[1], number)
        leaves = [leaf for leaf, _ in users.values()]
        if not leaves or any(leaf.dtype != torch.float64 for leaf in leaves):
            self.told.why = "no leaf" if not leaves else "a leaf is not of double precision"
            return
        for order, (leaf, number) in enumerate(users.values()):
            use = next((one for one in self._uses if one[1] <= number < one[2] and id(leaf) in one[3]), None)
            if use is None:
                self.told.why = "it is not known where a leaf is used"
                return
            self._first.moved.setdefault(use[0], []).append((use[3].index(id(leaf)), order))
        options = {"allow_unreachable": True, "accumulate_grad": False}
        found = engine(roots, weights, True, False, tuple(leaves), **options)  # PyTorch's own order
        self.told.gradient = list(enumerate(found))


def differences(
    begin: Callable[[], Callable[[], None]], wanted: int, apart: Callable[[Callable[[], Any]], Any] = _here
) -> dict[str, Any]:
    """Compare the gradient of one backward with finite differences.

    Args:
        begin: makes ready for a run of the code from its beginning, and gives what runs it.
        wanted: the number of the backward, from 0.
        apart: does one run where it leaves nothing behind for the next; None is for one that ended without a result.

    Returns:
        `agree` (None where they can't be compared, and `why`), the `gradients` of leaves, and how many `directions`.
    """
    begun: _Told | None = apart(lambda: _one(begin, _First(), wanted, None))
    if begun is None:
        return _undecided("a run ends without an answer")
    if begun.why is not None or begun.value is None or not begun.gradient:
        return _undecided(begun.why or "the backward is not reached in double precision")
    scale = max(1.0, abs(begun.value))
    for direction in range(DIRECTIONS):
        values = []
        for step in (_STEP, -_STEP):
            moved: _Told | None = apart(partial(_one, begin, begun.first, wanted, (direction, step)))
            if moved is None or moved.value is None or abs(moved.value - begun.value) > scale / 100:
                return _undecided((moved and moved.why) or _NOT_TWICE)
            values.append(moved.value)
        measured = (values[0] - values[1]) / (2 * _STEP)
        known = [(leaf, grad) for leaf, grad in begun.gradient if grad is not None]
        told = sum(float((grad * _direction(grad, leaf, direction)).sum()) for leaf, grad in known)
        if abs(measured - told) > _RELATIVE * max(abs(measured), abs(told)) + _ABSOLUTE * scale:
            if begun.own is not None:
                return _undecided(begun.own)
            return {"agree": False, "why": f"{told:.6g} along a direction where the loss changes by {measured:.6g}"}
    gradients = [None if grad is None else grad.detach().clone() for _, grad in begun.gradient]
    return {"agree": True, "why": None, "gradients": gradients, "directions": DIRECTIONS}


def _undecided(why: str) -> dict[str, Any]:
    return {"agree": None, "why": why}


def _one(
    begin: Callable[[], Callable[[], None]], first: _First, wanted: int, direction: tuple[int, float] | None
) -> _Told:
    mode = _Run(first, wanted, direction)
    ledger = Ledger()

    def applying(apply: Any) -> Any:
        def applied(cls: Any, *args: Any, **kwargs: Any) -> Any:
            call = partial(apply.__func__, cls, *args, **kwargs)
            return mode.apply(cls.__name__, call, [*args, *kwargs.values()])

        return classmethod(applied)

    try:
        run = begin()
        ModeOff(mode, ledger).start()
        ledger.replace(torch.autograd, _ENGINE, mode.watched)
        ledger.replace(torch.autograd.Function, "apply", applying)
        with mode:
            run()
    except _ReachedError:
        pass
    except BaseException as raised:
        told = f"{type(raised).__name__}: {raised}".partition("\n")[0][:_TOLD]
        mode.told.why = mode.told.why or f"in double precision it raises {told}"
    finally:
        ledger.undo()
    return mode.told


def _doubled(func: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
    """A call in double precision: what asks for single precision asks for double."""
    if getattr(func, "__name__", "") == "float":
        func = torch.Tensor.double
    kwargs = {name: torch.float64 if value is torch.float32 else value for name, value in kwargs.items()}
    return func, tuple(torch.float64 if one is torch.float32 else one for one in args), kwargs


def _move(leaf: torch.Tensor, number: int, direction: tuple[int, float]) -> None:
    with torch._C.DisableTorchFunction(), torch.no_grad():
        leaf.data.add_(_direction(leaf, number, direction[0]), alpha=direction[1])


def _direction(leaf: torch.Tensor, number: int, direction: int) -> torch.Tensor:
    """A direction, the same each time for the same leaf."""
    generator = torch.Generator().manual_seed(1_000_003 * direction + number)
    return torch.randn(leaf.shape, generator=generator, dtype=torch.float64).to(leaf.device)


def _sequence() -> int:
    found: int = torch._C._autograd._get_sequence_nr()
    return found


def _version(tensor: torch.Tensor) -> int | None:
    return None if tensor.is_inference() else tensor._version


def _storage(tensor: torch.Tensor) -> int:
    found: int = tensor.untyped_storage()._cdata
    return found

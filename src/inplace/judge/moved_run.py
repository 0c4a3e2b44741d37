"""One run of a program for finite differences: the first, which takes a gradient, or one with leaves moved.

See NOTE [ Finite differences of a program ].
"""

from __future__ import annotations

import copy
import operator
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.multiprocessing.reductions
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_unflatten

from inplace.capture.graph.walk import NodesBelow
from inplace.judge.put_in import PutIn, expression_at
from inplace.judge.tracing import is_traced

_MOST = 100_000_000  # elements kept of what leaves the graph
NOT_TWICE = "the code does not do the same twice"
# What makes tensors of what other processes send, which comes when it comes: workers of a DataLoader race.
_RECEIVING = frozenset({torch._utils.__file__, torch.multiprocessing.reductions.__file__})
_COMPILED = "CompiledFunctionBackward"
_UPDATED = "a leaf is written to behind its first use, and by how much may follow from its values"
_OWN = {
    True: "compiled code may compute in another precision, or with derivatives of its own",
    False: "a custom function has a derivative of its own",
}


class ReachedError(BaseException):
    """The backward that is judged was reached; the code is not to go on."""


@dataclass(slots=True)
class First:
    """What the first run is to tell the others.

    Attributes:
        called: the names of the functions that were called, in order.
        moved: by the number of a call, which of its tensors are leaves to be moved, each with the leaf's number;
            those that only what is put in has taken out of the graph have negative ones.
        kept: by the number of a call and that of the result, what it took out of the graph.
        written: the calls that gave out aliases through which something was written.
        put_in: the calls that took something out where that may be by mistake, each with the text of its expression.
        early: those of them that an earlier backward began behind.
    """

    called: list[str] = field(default_factory=list)
    moved: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    kept: dict[tuple[int, int], Any] = field(default_factory=dict)
    written: set[int] = field(default_factory=set)
    put_in: dict[int, str] = field(default_factory=dict)
    early: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Told:
    """What a run gives.

    Attributes:
        value: of what the backward is called on; None where it was not reached.
        gradient: of the leaves that are moved, by number; from the first run only.
        own: why the gradient may be another and right all the same: a part of the graph is not PyTorch's.
        why: nothing can be compared.
        first: what the others are told.
    """

    first: First
    value: float | None = None
    gradient: list[tuple[int, torch.Tensor | None]] = field(default_factory=list)
    own: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """What a run but the first does otherwise.

    Attributes:
        direction: the number of the direction in which leaves are moved.
        step: how far.
        holds_all: whether everything is held that leaves the graph; else not what is put in.
    """

    direction: int
    step: float
    holds_all: bool


class Run(TorchFunctionMode):
    """One run: numbers its calls, and moves leaves or notes their uses."""

    def __init__(self, first: First, wanted: int, move: Move | None, put_in: Mapping[str, PutIn]) -> None:
        super().__init__()
        self._first, self._wanted, self._moving, self._put_in = first, wanted, move, put_in
        self.told = Told(first)
        self._process = os.getpid()  # a child of the code's inherits us, and is none of the run
        self._number = 0
        self._backwards = 0
        self._inside = 0  # a custom function, which computes without recording
        self._size = 0
        self._uses: list[tuple[int, int, int, tuple[int, ...]]] = []  # call, nodes from, to, leaves by id
        self._aliases: dict[int, int] = {}
        self._alive: list[torch.Tensor] = []
        # By storage, the last call that wrote to it and that autograd did not record.
        self._updated: dict[int, int] = {}
        self._taken: dict[int, tuple[int, int]] = {}  # by leaf, the call that took it out itself, and its place there
        self._lost: dict[int, tuple[torch.Tensor, int]] = {}  # below what is put in took out, as `_users_below` has it

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
            if self._moving is not None:
                for place, leaf in self._first.moved.get(number, ()):
                    if leaf >= 0 or not self._moving.holds_all:
                        _move(given[place], leaf, self._moving)
            begun, before = _sequence(), [(_version(one), one.grad_fn) for one in given]
        self._inside += is_custom
        try:
            result = call()
        finally:
            self._inside -= is_custom
        with torch._C.DisableTorchFunction():
            if self._moving is None:
                self._note_use(number, begun, given, before)
            return result if self._inside or is_custom else self._without_path(number, given, result)

    def _note_use(self, number: int, begun: int, given: list[torch.Tensor], before: list[tuple[Any, Any]]) -> None:
        """Note the leaves that a call uses, and what it writes through aliases, where autograd does not record it."""
        leaves = tuple(id(one) if one.is_leaf and one.requires_grad else 0 for one in given)
        if any(leaves):
            self._alive += [one for one in given if one.is_leaf and one.requires_grad]
            self._uses.append((number, begun, _sequence(), leaves))
        for tensor, (version, node) in zip(given, before, strict=True):
            is_recorded = tensor.grad_fn is not node
            if version != _version(tensor) and not is_recorded:
                self._updated[_storage(tensor)] = number
            if version != _version(tensor) and _storage(tensor) in self._aliases and not is_recorded:
                self._first.written.add(self._aliases[_storage(tensor)])

    def _numbered(self, name: str) -> int:
        """The number of a call of a function, from 1."""
        self._number += 1
        called = self._first.called
        if self._moving is None:
            called.append(name)
        elif self._number > len(called) or called[self._number - 1] != name:
            self.told.why = NOT_TWICE
            raise ReachedError
        return self._number

    def _without_path(self, number: int, given: list[torch.Tensor], result: Any) -> Any:
        """The result of a call; where it has left the graph, what the first run gave out there."""
        if not given or result is None:
            return result
        if isinstance(result, torch.Tensor | float) or self._first.called[number - 1] == "tolist":
            return self._held((number, 0), given, result)
        if not isinstance(result, tuple | list):
            return result
        parts, shape = tree_flatten(result)
        held = [self._held((number, place), given, part) for place, part in enumerate(parts)]
        return result if all(map(operator.is_, held, parts)) else tree_unflatten(held, shape)

    def _held(self, key: tuple[int, int], given: list[torch.Tensor], result: Any) -> Any:
        """One part of a result, where it has left the graph: a number, a list of them, or a tensor without a path."""
        leaves = any(one.requires_grad for one in given)
        if isinstance(result, torch.Tensor):
            is_value = result.is_floating_point() and not result.requires_grad
            if not is_value or not leaves or any(one is result for one in given):
                return result
        elif self._moving is not None and not self._moving.holds_all and not leaves:
            return result  # it left the graph before: where it did, it is held, or is not to be
        if self._moving is None:
            self._keep(key, given, result)
            return result
        kept = self._first.kept.get(key)
        is_free = not self._moving.holds_all and key[0] in self._first.put_in
        if kept is None or is_free or key[0] in self._first.written:
            return result
        return kept.clone() if isinstance(kept, torch.Tensor) else copy.deepcopy(kept)

    def _keep(self, key: tuple[int, int], given: list[torch.Tensor], result: Any) -> None:
        """Note what a call of the first run took out of the graph."""
        text = expression_at(self._put_in, sys._getframe(1)) if self._put_in else None
        if text is not None:
            self._first.put_in[key[0]] = text
            if self._backwards < self._wanted:
                self._first.early.append(text)
            self._lost.update(_users_below([one for one in given if one.grad_fn is not None]))
            taken = [(place, one) for place, one in enumerate(given) if one.is_leaf and one.requires_grad]
            self._taken.update({id(one): (key[0], place) for place, one in taken})
        if not isinstance(result, torch.Tensor):
            self._first.kept[key] = copy.deepcopy(result)
            return
        self._size += result.numel()
        if self._size > _MOST:
            self.told.why = "too much leaves the graph to be kept"
            return
        self._first.kept[key] = result.detach().clone()
        if _storage(result) in {_storage(one) for one in given}:
            self._aliases[id(result)] = key[0]
            self._aliases[_storage(result)] = key[0]
            self._alive.append(result)

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
            if self._moving is None:
                with torch._C.DisableTorchFunction():
                    self._take(engine, tuple(roots), tuple(weights))
            raise ReachedError

        return run

    def _take(self, engine: Callable[..., Any], roots: Any, weights: Any) -> None:
        """The gradient of every leaf, and before which call each is to be moved."""
        for node in NodesBelow([one.grad_fn for one in roots if one.grad_fn is not None], limit=None).depth_first():
            if isinstance(node, torch.autograd.function.BackwardCFunction):
                self.told.own = _OWN[type(node).__name__ == _COMPILED]
        users = _users_below(roots)
        leaves = [leaf for leaf, _ in users.values()]
        if not leaves or any(leaf.dtype != torch.float64 for leaf in leaves):
            self.told.why = "no leaf" if not leaves else "a leaf is not of double precision"
            return
        for order, found in enumerate(users.values()):
            if not self._moves(*found, order):
                self.told.why = "it is not known where a leaf is used"
                return
        lost = [found for one, found in self._lost.items() if one not in users and found[0].dtype == torch.float64]
        for order, found in enumerate(lost, start=1):
            self._moves(*found, -order)
        taken = [at for one, at in self._taken.items() if one not in users and one not in self._lost]
        for order, (call, place) in enumerate(taken, start=len(lost) + 1):
            self._first.moved.setdefault(call, []).append((place, -order))
        options = {"allow_unreachable": True, "accumulate_grad": False}
        found = engine(roots, weights, True, False, tuple(leaves), **options)  # PyTorch's own order
        self.told.gradient = list(enumerate(found))

    def _moves(self, leaf: torch.Tensor, number: int, order: int) -> bool:
        """Have a leaf be moved before the call that made its first node; whether that call is known."""
        use = next((one for one in self._uses if one[1] <= number < one[2] and id(leaf) in one[3]), None)
        if use is not None:
            self._first.moved.setdefault(use[0], []).append((use[3].index(id(leaf)), order))
            if self._updated.get(_storage(leaf), -1) >= use[0]:
                self.told.own = self.told.own or _UPDATED
        return use is not None


def _doubled(func: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
    """A call in double precision: what asks for single precision asks for double."""
    if getattr(func, "__name__", "") == "float":
        func = torch.Tensor.double
    kwargs = {name: torch.float64 if value is torch.float32 else value for name, value in kwargs.items()}
    return func, tuple(torch.float64 if one is torch.float32 else one for one in args), kwargs


def _move(leaf: torch.Tensor, number: int, move: Move) -> None:
    with torch._C.DisableTorchFunction(), torch.no_grad():
        leaf.data.add_(direction_of(leaf, number, move.direction), alpha=move.step)


def direction_of(leaf: torch.Tensor, number: int, direction: int) -> torch.Tensor:
    """A direction, the same each time for the same leaf."""
    generator = torch.Generator().manual_seed(1_000_003 * direction + number % 1_000_003)
    return torch.randn(leaf.shape, generator=generator, dtype=torch.float64).to(leaf.device)


def _users_below(roots: Iterable[torch.Tensor]) -> dict[int, tuple[torch.Tensor, int]]:
    """The leaves below some tensors, by id, each with the number of the first node that hands it a gradient."""
    users: dict[int, tuple[torch.Tensor, int]] = {}
    for node in NodesBelow([one.grad_fn for one in roots if one.grad_fn is not None], limit=None).depth_first():
        for below, _ in node.next_functions:
            if below is not None and below.name().endswith("AccumulateGrad"):
                leaf, number = below.variable, node._sequence_nr()
                known = users.get(id(leaf))
                users[id(leaf)] = leaf, number if known is None else min(known[1], number)
    return users


def _sequence() -> int:
    found: int = torch._C._autograd._get_sequence_nr()
    return found


def _version(tensor: torch.Tensor) -> int | None:
    return None if tensor.is_inference() else tensor._version


def _storage(tensor: torch.Tensor) -> int:
    found: int = tensor.untyped_storage()._cdata
    return found

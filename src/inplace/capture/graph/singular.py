"""Nodes of a graph whose derivative is not finite at what they were computed from, before a backward goes there.

A derivative that is infinite somewhere does harm only if a gradient comes by there, and be it zero: zero times infinity
is not a number. So what is found here is told of only where a gradient turned out not to be finite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch

from inplace.capture.bytes.readable import is_readable
from inplace.capture.graph.handles import RAW, saved_tensor
from inplace.capture.graph.walk import NodesBelow
from inplace.capture.tables.tensor_facts import is_watched
from inplace.capture.tables.tensors import PLAIN
from inplace.facts.pause import no_collection

_NODES = 2000  # looked at before one backward
ELEMENTS = 1 << 16  # of one saved tensor up to which it is looked at


class Test(NamedTuple):
    """Where a derivative is not finite: `holds` says it of elements, its number is how what is compiled knows it."""

    number: int
    holds: Callable[[torch.Tensor], torch.Tensor]


class _Look(NamedTuple):
    """Which save of a node is looked at, where its derivative is not finite, and whether it is that of a power."""

    save: str
    test: Test
    is_power: bool


_AT_ZERO = Test(0, lambda saved: saved == 0)
_NOT_POSITIVE = Test(1, lambda saved: ~(saved > 0))
_AT_MINUS_ONE = Test(2, lambda saved: ~(saved > -1))
_AT_ONE = Test(3, lambda saved: ~(saved.abs() < 1))
_NOT_FINITE = Test(4, lambda saved: ~saved.isfinite())
TESTS = (_AT_ZERO, _NOT_POSITIVE, _AT_MINUS_ONE, _AT_ONE, _NOT_FINITE)

saves_any: Callable[[Any, str, int], bool | None] | None = None
"""Whether an element of what a node has saved, by the name of its handle, is as the test of a number asks.

None where it can't be read where it lies. It is compiled, and None itself where it was not: PyTorch has to be asked
three times.
"""

# By the name of the node, without `Backward0`: the save that is looked at, and where its derivative is not finite.
_OF_NODES = {
    "Log": ("self", _NOT_POSITIVE),
    "Log2": ("self", _NOT_POSITIVE),
    "Log10": ("self", _NOT_POSITIVE),
    "Log1P": ("self", _AT_MINUS_ONE),
    "Sqrt": ("result", _NOT_POSITIVE),
    "Rsqrt": ("result", _NOT_FINITE),
    "Reciprocal": ("result", _NOT_FINITE),
    "Div": ("other", _AT_ZERO),
    "Pow": ("self", _AT_ZERO),
    "Acos": ("self", _AT_ONE),
    "Asin": ("self", _AT_ONE),
    "Atanh": ("self", _AT_ONE),
    "Acosh": ("self", _AT_ONE),
    "Exp": ("result", _NOT_FINITE),
    "Xlogy": ("other", _AT_ZERO),
    "LinalgVectorNorm": ("result", _AT_ZERO),
    "Norm": ("result", _AT_ZERO),
    "Std": ("result", _AT_ZERO),
}
_known: dict[type, _Look | None] = {}  # the same by classes of nodes that serve one function each


@no_collection()  # for the objects that stand for the nodes, which go at once
def singular_nodes(roots: Iterable[Any]) -> tuple[list[int], bool]:
    """The sequence numbers of the nodes below some roots whose derivative is not finite, the first made first.

    And whether there is any whose derivative could be so at other values.
    """
    if is_watched():
        return [], False
    found, may_be = [], False
    for node in NodesBelow(roots, _NODES).nodes():
        kind = type(node)
        look = _known[kind] if kind in _known else _learn(node)
        if look is not None and not (look.is_power and _is_finite_power(node)):
            may_be = True
            is_one = None if saves_any is None else saves_any(node, RAW + look.save, look.test.number)
            if _is_singular(node, look) if is_one is None else is_one:
                found.append(int(node._sequence_nr()))
    return sorted(found), may_be


def _learn(node: Any) -> _Look | None:
    """How a node is looked at; None for others, such as custom functions.

    It is kept for PyTorch's own classes: to ask a node for its name takes long.
    """
    kind = type(node)
    if issubclass(kind, torch.autograd.function.BackwardCFunction):
        return None  # whoever remembers its class keeps the script's variables
    name = str(node.name()).removeprefix("torch::autograd::")
    stem, _, number = name.partition("Backward")
    look = _Look(*_OF_NODES[stem], stem == "Pow") if number.isdigit() and stem in _OF_NODES else None
    if kind.__name__ == name:
        _known[kind] = look
    return look


def _is_finite_power(node: Any) -> bool:
    """Whether the exponent of a power is none below one: then its derivative is finite everywhere."""
    exponent = getattr(node, "_saved_exponent", None)  # a number: no tensor is unpacked
    return not (isinstance(exponent, float) and exponent < 1)


def _is_singular(node: Any, look: _Look) -> bool:
    saved = saved_tensor(node, look.save)
    if saved is None or type(saved) not in PLAIN:
        return False
    return _is_small(saved) and is_readable(saved) and bool(look.test.holds(saved.detach()).any())


def _is_small(saved: torch.Tensor) -> bool:
    real = saved.dtype.is_floating_point and saved.layout is torch.strided
    return real and saved.device.type == "cpu" and 0 < saved.numel() <= ELEMENTS

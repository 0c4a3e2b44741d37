"""Nodes of a graph whose derivative is not finite at what they were computed from, before a backward goes there.

A derivative that is infinite somewhere does harm only if a gradient comes by there, and be it zero: zero times infinity
is not a number. So what is found here is told of only where a gradient turned out not to be finite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import torch

from inplace.capture.graph.handles import saved_tensors
from inplace.capture.graph.walk import NodesBelow
from inplace.capture.tables.tensor_facts import is_watched
from inplace.capture.tables.tensors import PLAIN

_NODES = 2000  # looked at before one backward
_ELEMENTS = 1 << 16  # of one saved tensor up to which it is looked at

Test = Callable[[torch.Tensor, Any], torch.Tensor]


def _at_zero(saved: torch.Tensor, _node: Any) -> torch.Tensor:
    return saved == 0


def _not_positive(saved: torch.Tensor, _node: Any) -> torch.Tensor:
    return ~(saved > 0)


def _at_minus_one(saved: torch.Tensor, _node: Any) -> torch.Tensor:
    return ~(saved > -1)


def _at_one(saved: torch.Tensor, _node: Any) -> torch.Tensor:
    return ~(saved.abs() < 1)


def _can_be(node: Any) -> bool:
    """Whether a node's derivative can be infinite: that of a power only where its exponent is below one."""
    if not str(node.name()).startswith("Pow"):
        return True
    exponent = getattr(node, "_saved_exponent", None)  # a number: no tensor is unpacked
    return isinstance(exponent, float) and exponent < 1


def _infinite(saved: torch.Tensor, _node: Any) -> torch.Tensor:
    return ~saved.isfinite()


# By the name of the node, without `Backward0`: the save that is looked at, and where its derivative is not finite.
_TESTS: dict[str, tuple[str, Test]] = {
    "Log": ("self", _not_positive),
    "Log2": ("self", _not_positive),
    "Log10": ("self", _not_positive),
    "Log1P": ("self", _at_minus_one),
    "Sqrt": ("result", _not_positive),
    "Rsqrt": ("result", _infinite),
    "Reciprocal": ("result", _infinite),
    "Div": ("other", _at_zero),
    "Pow": ("self", _at_zero),
    "Acos": ("self", _at_one),
    "Asin": ("self", _at_one),
    "Atanh": ("self", _at_one),
    "Acosh": ("self", _at_one),
    "Exp": ("result", _infinite),
    "Xlogy": ("other", _at_zero),
    "LinalgVectorNorm": ("result", _at_zero),
    "Norm": ("result", _at_zero),
    "Std": ("result", _at_zero),
}


def singular_nodes(roots: Iterable[Any]) -> tuple[list[int], bool]:
    """The sequence numbers of the nodes below some roots whose derivative is not finite, the first made first.

    And whether there is any whose derivative could be so at other values.
    """
    if is_watched():
        return [], False
    found, may_be = [], False
    for node, _ in NodesBelow(roots, _NODES):
        test = _test_of(node.name())
        if test is not None and _can_be(node):
            may_be = True
            if _is_singular(node, *test):
                found.append(int(node._sequence_nr()))
    return sorted(found), may_be


@lru_cache(1024)
def _test_of(name: str) -> tuple[str, Test] | None:
    """Which save of a node by this name is looked at, and how; None for others, such as custom functions."""
    stem, _, number = name.removeprefix("torch::autograd::").partition("Backward")
    return _TESTS.get(stem) if number.isdigit() else None


def _is_singular(node: Any, wanted: str, test: Test) -> bool:
    for name, saved in saved_tensors(node):
        if name == wanted and type(saved) in PLAIN and _is_small(saved):
            return bool(test(saved.detach(), node).any())
    return False


def _is_small(saved: torch.Tensor) -> bool:
    real = saved.dtype.is_floating_point and saved.layout is torch.strided
    return real and saved.device.type == "cpu" and 0 < saved.numel() <= _ELEMENTS

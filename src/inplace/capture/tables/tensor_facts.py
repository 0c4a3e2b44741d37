"""Single facts read off one live tensor, without an effect on it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import torch

from inplace.capture.bytes.readable import is_readable
from inplace.facts.model import NodeId

SMALL = 16  # elements whose values are worth showing
SMALL_INDEX = 256  # elements of an integer tensor, which may be an index with repeated entries
_LEAF = 3  # the flags of a leaf that requires grad

is_functional = torch._is_functional_tensor
"""Whether a tensor stands for one that functionalization has; to ask for its storage would change what it may do."""
_dispatch_modes = torch._C._len_torch_dispatch_stack
_profiling = torch._C._autograd._profiler_enabled
_creation_meta = getattr(torch._C._autograd, "_get_creation_meta", None)


def autograd_of(tensor: torch.Tensor, *, readable: bool, made: int) -> tuple[NodeId | None, int]:
    """The node and the flags: 1 requires grad, 2 leaf, 4 inference; `made` is the node it must have, -1 if unknown.

    NOTE [ Deep graphs ]
    A node that Python has asked for is freed by a destructor of its own, which frees the next such node before it
    returns: 25,000 of them in a chain overflow a stack of 8 MB, where PyTorch alone frees any number. So we ask no
    tensor for its `grad_fn` where the call has made one node only, which then is it, and walks have a limit.

    NOTE [ Stale views ]
    When a base is written, the `grad_fn` of its other views is made anew the next time somebody asks for it
    (`torch/csrc/autograd/variable.cpp`, `VariableHooks::grad_fn`). Asking is not free of effects: an in-place call on
    such a view is refused as one on a leaf until somebody has asked, and `is_leaf` asks too. So we ask only for tensors
    that a call gave out, and say of other views what is true of their base.
    """
    if not tensor.requires_grad:
        return None, 6 if tensor.is_inference() else 2
    owner = tensor if readable or tensor._base is None else tensor._base
    try:
        flags = _LEAF if owner.is_leaf else 1
    except RuntimeError:  # a view made in inference mode whose base was written since; a leaf is no view of one
        return None, 1
    if not readable or flags == _LEAF:
        return None, flags
    if made >= 0:
        return NodeId(made), flags
    node = node_of(tensor)
    return (None if node is None else NodeId(number_of(node))), flags


def number_of(node: Any) -> int:
    """The sequence number of a node, -1 for one that was given none (`at::sequence_number`)."""
    number = int(node._sequence_nr())
    return number if number < 1 << 62 else -1


def node_of(tensor: torch.Tensor) -> Any | None:
    """The `grad_fn`; None where there is none, or where autograd has no answer itself."""
    try:
        return tensor.grad_fn if tensor.requires_grad else None
    except RuntimeError:  # a view made under no_grad whose base was written since
        return None


def creation_of(tensor: torch.Tensor) -> int | None:
    """PyTorch's `CreationMeta` of a view as its number, None where this version doesn't tell."""
    return None if _creation_meta is None else int(_creation_meta(tensor))


@lru_cache(16)
def creation_name(number: int) -> str:
    """The name of a `CreationMeta` in lower case."""
    return str(torch._C._autograd.CreationMeta(number).name).lower()


def set_versions(tensors: Sequence[torch.Tensor], versions: Sequence[int]) -> None:
    """Set the version counters of some tensors."""
    change: Any = torch._C._autograd._unsafe_set_version_counter
    try:
        change(list(tensors), list(versions))
    except TypeError:  # up to PyTorch 2.6 it takes one tensor
        for tensor, version in zip(tensors, versions, strict=True):
            change(tensor, version)


def is_watched() -> bool:
    """Whether a profiler or a dispatch mode would see what we call."""
    return bool(_profiling() or _dispatch_modes())


def small_values(tensor: torch.Tensor) -> tuple[Any, ...] | None:
    """The elements of a small tensor in row order, None for one that is large, or not plain numbers in memory."""
    if tensor.numel() > (SMALL_INDEX if tensor.dtype is torch.int64 else SMALL):
        return None
    if tensor.is_complex() or tensor.is_quantized:
        return None
    if _profiling() or not is_readable(tensor):  # a profiler would list what we call
        return None
    try:
        if not _dispatch_modes():
            values = tensor.tolist()
        else:
            with torch._C._DisableTorchDispatch():
                values = tensor.tolist()
    except Exception:  # what `torch.load` makes of a bare storage has no kernels; one of the user's may raise anything
        return None
    return _flat_numbers(values)


def _flat_numbers(values: Any) -> tuple[Any, ...]:
    """The numbers in nested lists; to flatten the tensor would be an operation, which dispatch modes would see."""
    if not isinstance(values, list):
        return (values,)
    while values and isinstance(values[0], list):
        values = list(chain.from_iterable(values))
    return tuple(values)

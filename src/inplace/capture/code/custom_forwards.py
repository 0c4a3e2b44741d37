"""Which code is the forward of a custom function that PyTorch's C++ calls.

Up to PyTorch 2.13 `Function.apply` is written in Python, and its frame stands below a forward. Since 2.14 it is C++,
and no frame says that the forward was not called by the user's own line: so its code object is looked up instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

import torch

from inplace.capture.code.objects import class_attributes

APPLY = "Function.apply"
"""What a frame that calls a custom function is said to have entered."""
_apply: Any = torch.autograd.Function.__dict__.get("apply")
IS_SHOWN = isinstance(getattr(_apply, "__func__", None), FunctionType)
"""Whether `apply` has a frame of its own."""
_CALLED = ("forward", "setup_context")
_subclasses: Any = type.__subclasses__


def is_forward(code: CodeType) -> bool:
    """Whether some custom function has this code as its forward, with no frame of `apply` below it."""
    return owner_of(code) is not None


def owner_of(code: CodeType) -> type | None:
    """The custom function that has this code as its forward; None where there is none, or `apply` has a frame."""
    if IS_SHOWN:
        return None
    return next((kind for kind in _kinds(torch.autograd.Function) if any(code is one for one in _codes(kind))), None)


def _kinds(kind: type) -> Iterator[type]:
    for one in _subclasses(kind):
        yield one
        yield from _kinds(one)


def _codes(kind: type) -> Iterator[CodeType]:
    attributes = class_attributes(kind)
    for name in _CALLED:
        found: Any = attributes.get(name)
        found = found.__func__ if type(found) in (staticmethod, classmethod) else found
        if type(found) is FunctionType:
            yield found.__code__
            wrapped = found.__dict__.get("__wrapped__")  # by `torch.amp.custom_fwd`
            if type(wrapped) is FunctionType:
                yield wrapped.__code__

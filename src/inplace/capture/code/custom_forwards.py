"""Which code is the forward of a custom function that PyTorch's C++ calls.

Up to PyTorch 2.13 `Function.apply` is written in Python, and its frame stands below a forward. Since 2.14 it is C++,
and no frame says that the forward was not called by the user's own line: so its code object is looked up instead.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator, Mapping
from types import BuiltinMethodType, CodeType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any

import torch

from inplace.capture.code.names import borrow_locals
from inplace.capture.code.objects import attributes_of, class_attributes, is_a, items_of

APPLY = "Function.apply"
"""What a frame that calls a custom function is said to have entered."""
_apply: Any = torch.autograd.Function.__dict__.get("apply")
IS_SHOWN = isinstance(getattr(_apply, "__func__", None), FunctionType)
"""Whether `apply` has a frame of its own."""
_APPLIED = "apply"
_LOADED = frozenset({"LOAD_NAME", "LOAD_GLOBAL", "LOAD_FAST", "LOAD_DEREF", "LOAD_FAST_BORROW", "LOAD_FAST_CHECK"})
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
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


def applied_at(frame: FrameType, instruction: int) -> type | None:
    """The custom function whose `apply`, which has no frame, is what an instruction of a frame calls; else None.

    Names are looked up and attributes read where they stand, so no code of the user's runs.
    """
    path = () if IS_SHOWN else _called(frame.f_code, instruction)
    found: list[type] = []
    if path:
        borrow_locals(frame, lambda its: found.extend(_applied(path, {**dict(items_of(frame.f_globals)), **dict(its)})))
    return found[0] if found else None


def _applied(path: tuple[str, ...], known: Mapping[str, Any]) -> Iterator[type]:
    value: Any = known.get(path[0])
    names = list(path[1:])
    while len(names) > 1 or (names and names[0] != _APPLIED):
        value = _parts(value).get(names.pop(0))
    if (
        not names and type(value) in (BuiltinMethodType, MethodType) and value.__name__ == _APPLIED
    ):  # `double = Double.apply`
        value = value.__self__
    if is_a(value, type) and torch.autograd.Function in type.__dict__["__mro__"].__get__(value)[1:]:
        yield value  # type: ignore[misc]


def _parts(value: Any) -> Mapping[str, Any]:
    """What stands on a class, a module or an object itself."""
    if is_a(value, type):
        return class_attributes(value)
    return vars(value) if type(value) is ModuleType else attributes_of(value) or {}


def _called(code: CodeType, instruction: int) -> tuple[str, ...]:
    """The name, and the attributes of it, that an instruction calls; none where it calls something else.

    What is called is loaded first, so it begins where the call does.
    """
    if sys.version_info < (3, 11):
        return ()
    places = list(code.co_positions())
    line, _, column, _ = places[instruction // 2]
    path: list[str] = []
    for one in dis.get_instructions(code):
        if one.offset >= instruction:
            break
        begin, _, start, _ = places[one.offset // 2]
        if (begin, start) != (line, column) or column is None or type(one.argval) is not str:
            continue
        if one.opname in _LOADED:
            path = [one.argval]
        elif one.opname in _ATTRIBUTES and path:
            path.append(one.argval)
    return tuple(path)


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

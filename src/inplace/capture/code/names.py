"""Which of the user's names reach which tensors, modules and optimizers, found without running any code of theirs."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import CO_OPTIMIZED
from itertools import islice
from types import FrameType, FunctionType, ModuleType
from typing import Any

import torch

from inplace.capture.code.objects import attributes_of, is_a, is_one_of, items_of, iterate, module_of_class
from inplace.capture.tables.tensors import TYPES

_DEEPEST = 6  # steps from a variable to a tensor
_WIDEST = 4096  # items looked at in one container
_FURTHEST = 1 << 20  # items of which the class is looked at
_OURS = 3  # references to a frame's locals that are the frame's own and ours: `found`, and the argument that counts
_MOST = 20_000  # objects looked at in one scan
_LONGEST_KEY = 64  # bits of a number that is shown as a key
_SKIPPED = (ModuleType, FunctionType, type, str, bytes, int, float, complex, bool, type(None))
_LIBRARIES = frozenset({"torch", "numpy", "builtins", "IPython", "inplace", "ipywidgets"})


def _nothing(_bound: int) -> None:
    """Nobody is told what was left out."""


def _let_through(fault: Exception) -> None:
    raise fault


def scan(
    namespace: Mapping[str, object],
    left_out: Callable[[int], None] = _nothing,
    failed: Callable[[Exception], None] = _let_through,
) -> Iterator[tuple[str, Any]]:
    """Yield (path, object) for every tensor, module and optimizer that a namespace reaches, shallow ones first.

    Attributes are read from `__dict__` only, never through properties, so no code of the user's runs.
    Names with a leading underscore are IPython's own history (`_`, `_3`, `_oh`) and are left out; tensors over memory
    that only its `Out` reaches come last, as `Out[3]`.

    Args:
        namespace: the variables.
        left_out: is told each bound of ours because of which something was not looked into.
        failed: is told what went wrong when one object was looked into; the others are looked at all the same.
    """
    known = {name: value for name, value in items_of(namespace) if type(name) is str}
    own = [(name, value) for name, value in known.items() if not name.startswith("_") and name not in {"In", "Out"}]
    seen: set[int] = set()
    named: set[int] = set()
    for path, value in _reached(own, seen, left_out, failed):
        named.add(_memory(value))
        yield path, value
    if (shown := known.get("Out")) is not None and known.get("_oh") is shown and type(shown) is dict:
        items = [(f"Out[{number}]", value) for number, value in list(dict.items(shown))]
        yield from (
            (path, value) for path, value in _reached(items, seen, left_out, failed) if _memory(value) not in named
        )


def _memory(value: Any) -> int:
    """What tells two values apart that share no memory: the storage of a tensor that has one, else the value itself."""
    try:
        return int(value.untyped_storage()._cdata) if is_one_of(value, TYPES) else id(value)
    except RuntimeError:  # it has no memory
        return id(value)


def _reached(
    roots: list[tuple[str, object]],
    seen: set[int],
    left_out: Callable[[int], None],
    failed: Callable[[Exception], None],
) -> Iterator[tuple[str, Any]]:
    """What some objects reach, and they themselves; what is in `seen` is not looked into again."""
    queue: list[tuple[str, object, int]] = [(name, value, 0) for name, value in roots]
    for path, value, depth in queue:  # grows while we look
        if is_a(value, _SKIPPED):
            continue
        if is_one_of(value, TYPES):
            yield path, value
            continue
        if id(value) in seen:
            continue
        bound = _MOST if len(queue) > _MOST else _DEEPEST if depth >= _DEEPEST else None
        if bound != _MOST:
            seen.add(id(value))
            if is_a(value, (torch.nn.Module, torch.optim.Optimizer)):
                yield path, value
        try:
            if bound is None:
                queue.extend((path + step, item, depth + 1) for step, item in _inside(value, left_out))
            elif [one for _, one in _inside(value, _nothing) if not is_a(one, _SKIPPED) and id(one) not in seen]:
                left_out(bound)
        except Exception as fault:
            failed(fault)


def _inside(value: Any, left_out: Callable[[int], None]) -> Iterator[tuple[str, object]]:
    """The items of one object, with the step that leads to each."""
    if is_a(value, torch.nn.Module):
        yield from _inside_module(value)
    elif is_a(value, torch.optim.Optimizer):
        return  # its parameters are named by whoever owns them
    elif is_a(value, dict):  # `dict.items`, so that no subclass's own runs
        for key, item in list(islice(dict.items(value), _WIDEST)):
            if (said := _key(key)) is not None:
                yield f"[{said}]", item
        if _is_more(dict.values(value)):
            left_out(_WIDEST)
    elif is_a(value, (list, tuple, deque)):
        for number, item in enumerate(list(islice(_iterate(value), _WIDEST))):
            yield f"[{number}]", item
        if _is_more(_iterate(value)):
            left_out(_WIDEST)
    elif module_of_class(type(value)).partition(".")[0] not in _LIBRARIES:
        for name, item in _own_attributes(value):
            yield f".{name}", item


def _key(key: object) -> str | None:
    """How a key is written; None for one that is neither text nor a number that can be."""
    if is_a(key, str):
        return str.__repr__(key)  # type: ignore[arg-type]
    if type(key) is bool:
        return repr(key)
    return int.__repr__(key) if is_a(key, int) and int.bit_length(key) < _LONGEST_KEY else None  # type: ignore[arg-type]


def _is_more(items: Iterable[object]) -> bool:
    """Whether a container has items beyond those looked at that could lead to a tensor."""
    kinds = list(map(type, islice(items, _WIDEST, _FURTHEST)))
    different = dict(zip(map(id, kinds), kinds, strict=True)).values()  # a metaclass may forbid to hash its classes
    return not all(issubclass(kind, _SKIPPED) for kind in different)


def _iterate(value: object) -> Iterator[object]:
    return deque.__iter__(value) if is_a(value, deque) else iterate(value)  # type: ignore[arg-type]


def _inside_module(module: object) -> Iterator[tuple[str, object]]:
    own = dict(_own_attributes(module))
    for kind in ("_parameters", "_buffers", "_modules"):
        for name, item in items_of(own.get(kind, {})):
            if type(name) is str:
                yield (f"[{name}]" if name.isdigit() else f".{name}"), item
    if module_of_class(type(module)).startswith(_WRAPPERS):
        return  # what they keep of the module that they were given is the user's by its own name
    for name, item in own.items():
        if not name.startswith("_") and name != "training":
            yield f".{name}", item


_WRAPPERS = ("torch.nn.parallel.", "torch.distributed.")


def _own_attributes(value: object) -> list[tuple[str, Any]]:
    """The instance attributes of an object."""
    own = attributes_of(value)
    return [] if own is None else [(name, item) for name, item in items_of(own) if type(name) is str]


def borrow_locals(frame: FrameType, use: Callable[[Mapping[str, object]], None]) -> None:
    """Call `use` with the local variables of a frame, leaving no reference to them behind.

    NOTE [ Borrowing locals ]
    Up to Python 3.12 reading `f_locals` of a running function makes a dict that the frame then keeps, which would keep
    tensors alive that the function has let go. So it is emptied again, unless somebody else holds it (they asked for
    `locals()` themselves), or a debugger is on, which would copy the emptied dict back into the frame.
    """
    if not frame.f_code.co_flags & CO_OPTIMIZED or sys.version_info >= (3, 13):  # not a function's: there is no copy
        use(frame.f_locals)
        return
    if sys.gettrace() is not None:
        return
    found = frame.f_locals
    try:
        use(found)
    finally:
        if sys.getrefcount(found) <= _OURS:
            found.clear()

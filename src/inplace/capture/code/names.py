"""Which of the user's names reach which tensors, modules and optimizers, found without running any code of theirs."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from types import FrameType, FunctionType, ModuleType
from typing import Any

import torch

from inplace.capture.tables.tensors import PLAIN

_DEEPEST = 6  # steps from a variable to a tensor
_WIDEST = 4096  # items looked at in one container
_FURTHEST = 1 << 20  # items of which the class is looked at
_OURS = 3  # references to a frame's locals that are the frame's own and ours: `found`, and the argument that counts
_MOST = 20_000  # objects looked at in one scan
_SKIPPED = (ModuleType, FunctionType, type, str, bytes, int, float, complex, bool, type(None))


def _nothing(_bound: int) -> None:
    """Nobody is told what was left out."""


def scan(namespace: Mapping[str, object], left_out: Callable[[int], None] = _nothing) -> Iterator[tuple[str, Any]]:
    """Yield (path, object) for every tensor, module and optimizer that a namespace reaches, shallow ones first.

    Attributes are read from `__dict__` only, never through properties, so no code of the user's runs.
    Names with a leading underscore are IPython's own history (`_`, `_3`, `_oh`) and are left out; what only its `Out`
    reaches comes last, as `Out[3]`.

    Args:
        namespace: the variables.
        left_out: is told each bound of ours because of which something was not looked into.
    """
    own = [(name, value) for name, value in list(namespace.items()) if not name.startswith("_")]
    seen: set[int] = set()
    named: set[int] = set()
    for path, value in _reached([one for one in own if one[0] not in {"In", "Out"}], seen, left_out):
        named.add(id(value))
        yield path, value
    shown = namespace.get("Out")
    if type(shown) is dict and namespace.get("_oh") is shown:
        items = [(f"Out[{number}]", value) for number, value in list(shown.items())]
        yield from ((path, value) for path, value in _reached(items, seen, left_out) if id(value) not in named)


def _reached(
    roots: list[tuple[str, object]], seen: set[int], left_out: Callable[[int], None]
) -> Iterator[tuple[str, Any]]:
    """What some objects reach, and they themselves; what is in `seen` is not looked into again."""
    queue: list[tuple[str, object, int]] = [(name, value, 0) for name, value in roots]
    for path, value, depth in queue:  # grows while we look
        if isinstance(value, _SKIPPED):
            continue
        if type(value) in PLAIN:
            yield path, value
            continue
        if id(value) in seen:
            continue
        bound = _MOST if len(queue) > _MOST else _DEEPEST if depth >= _DEEPEST else None
        if bound != _MOST:
            seen.add(id(value))
            if isinstance(value, torch.nn.Module | torch.optim.Optimizer):
                yield path, value
        if bound is None:
            queue.extend((path + step, item, depth + 1) for step, item in _inside(value, left_out))
        elif [item for _, item in _inside(value, _nothing) if not isinstance(item, _SKIPPED) and id(item) not in seen]:
            left_out(bound)


def _inside(value: object, left_out: Callable[[int], None]) -> Iterator[tuple[str, object]]:
    """The items of one object, with the step that leads to each."""
    if isinstance(value, torch.nn.Module):
        yield from _inside_module(value)
    elif isinstance(value, torch.optim.Optimizer):
        return  # its parameters are named by whoever owns them
    elif isinstance(value, dict):  # `dict.items`, so that no subclass's own runs
        for key, item in list(islice(dict.items(value), _WIDEST)):
            if isinstance(key, str | int):
                yield f"[{key!r}]", item
        if _is_more(dict.values(value)):
            left_out(_WIDEST)
    elif isinstance(value, list | tuple | deque):
        for number, item in enumerate(list(islice(_iterate(value), _WIDEST))):
            yield f"[{number}]", item
        if _is_more(_iterate(value)):
            left_out(_WIDEST)
    elif (attributes := _instance_attributes(value)) is not None:
        for name, item in attributes:
            yield f".{name}", item


def _is_more(items: Iterable[object]) -> bool:
    """Whether a container has items beyond those looked at that could lead to a tensor."""
    kinds = set(map(type, islice(items, _WIDEST, _FURTHEST)))
    return not all(issubclass(kind, _SKIPPED) for kind in kinds)


def _iterate(value: list[object] | tuple[object, ...] | deque[object]) -> Iterator[object]:
    """Iterate over a sequence as its built-in type does, so that no subclass's own `__iter__` runs."""
    if isinstance(value, list):
        return list.__iter__(value)
    return tuple.__iter__(value) if isinstance(value, tuple) else deque.__iter__(value)


def _inside_module(module: torch.nn.Module) -> Iterator[tuple[str, object]]:
    own = object.__getattribute__(module, "__dict__")
    for kind in ("_parameters", "_buffers", "_modules"):
        for name, item in list((own.get(kind) or {}).items()):
            yield (f"[{name}]" if name.isdigit() else f".{name}"), item
    for name, item in list(own.items()):
        if not name.startswith("_") and name != "training":
            yield f".{name}", item


def _instance_attributes(value: object) -> list[tuple[str, object]] | None:
    """The instance attributes of an object of a class of the user's, None for library objects."""
    if type(value).__module__.partition(".")[0] in {"torch", "numpy", "builtins", "IPython", "inplace", "ipywidgets"}:
        return None
    try:
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return [(name, item) for name, item in list(own.items()) if isinstance(name, str)] if type(own) is dict else None


def borrow_locals(frame: FrameType, use: Callable[[Mapping[str, object]], None]) -> None:
    """Call `use` with the local variables of a frame, leaving no reference to them behind.

    NOTE [ Borrowing locals ]
    Up to Python 3.12 reading `f_locals` of a running function makes a dict that the frame then keeps, which would keep
    tensors alive that the function has let go. So it is emptied again, unless somebody else holds it (they asked for
    `locals()` themselves), or a debugger is on, which would copy the emptied dict back into the frame.
    """
    if frame.f_locals is frame.f_globals or sys.version_info >= (3, 13):
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

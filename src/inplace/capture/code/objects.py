"""What an object of the user's is and holds, asked so that no code of theirs runs.

`isinstance` asks an object for its `__class__`, which a proxy answers by finding what it stands for; attributes may be
properties that act; metaclasses may say anything of their classes. So all is read from the type, by the descriptors
that C has given it.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType, FunctionType, GetSetDescriptorType, WrapperDescriptorType
from typing import Any

_mro = type.__dict__["__mro__"].__get__
_class_dict = type.__dict__["__dict__"].__get__
_class_name = type.__dict__["__name__"].__get__
_module = type.__dict__["__module__"].__get__
_arguments = BaseException.__dict__["args"].__get__
_SAYABLE = (str, int, float, bool, type(None))
_group: Any = getattr(builtins, "BaseExceptionGroup", None)  # of Python 3.11


def is_a(value: object, kinds: type | tuple[type, ...]) -> bool:
    """Whether a value is of one of some types, whatever it says of its class."""
    return issubclass(type(value), kinds)


def is_one_of(value: object, kinds: Sequence[type]) -> bool:
    """Whether a value is of exactly one of some types; no type is hashed, for a metaclass may forbid it."""
    kind = type(value)
    for one in kinds:  # noqa: SIM110  # asked for the arguments of calls: a generator takes four times as long
        if kind is one:
            return True
    return False


def name_of_class(kind: type) -> str:
    """The name of a class."""
    return str(_class_name(kind))


def module_of_class(kind: type) -> str:
    """The module that a class says it is of; empty where what it says is no name."""
    found = _module(kind)
    return found if type(found) is str else ""


def class_attributes(kind: type) -> Mapping[str, Any]:
    """What stands on a class itself, not on those that it inherits from."""
    found: Mapping[str, Any] = _class_dict(kind)
    return found


def attributes_of(value: object) -> dict[str, Any] | None:
    """The instance attributes of an object, None where it has none, or computes them."""
    descriptor = _on_class(type(value), "__dict__")
    if type(descriptor) is not GetSetDescriptorType:
        return None
    found = descriptor.__get__(value)
    return found if issubclass(type(found), dict) else None


def items_of(mapping: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    """The items of a mapping now; none of one of the user's own that would compute them."""
    kind = type(mapping)
    if issubclass(kind, dict):
        return list(dict.items(mapping))  # type: ignore[arg-type]
    # What `f_locals` of a function is from Python 3.13 on, and what a scripted module has its parts in.
    return list(mapping.items()) if module_of_class(kind).partition(".")[0] in {"builtins", "torch"} else []


def iterate(value: object) -> Iterator[Any]:
    """Iterate over a list or tuple as its built-in type does, so that no subclass's own `__iter__` runs; else none."""
    kind = type(value)
    if issubclass(kind, list):
        return list.__iter__(value)  # type: ignore[arg-type]
    return tuple.__iter__(value) if issubclass(kind, tuple) else iter(())  # type: ignore[arg-type]


def message_of(error: BaseException, is_user: Callable[[CodeType], bool]) -> str:
    """What an exception says; where code of the user's would say it, its only argument, or nothing."""
    arguments = _arguments(error)
    if not all(_says_itself(one, is_user) for one in arguments):
        return ""
    if _is_written_by(_on_class(type(error), "__str__"), is_user):
        return str(arguments[0]) if len(arguments) == 1 else ""
    return str(error)


def _says_itself(value: object, is_user: Callable[[CodeType], bool]) -> bool:
    """Whether a value can be made text without code of the user's."""
    if is_one_of(value, _SAYABLE):
        return True
    if is_one_of(value, (tuple, list)):
        return all(_says_itself(one, is_user) for one in iterate(value))
    if is_a(value, (tuple, list, dict, set, frozenset)):
        return False
    return not any(_is_written_by(_on_class(type(value), name), is_user) for name in ("__str__", "__repr__"))


def _is_written_by(found: object, is_user: Callable[[CodeType], bool]) -> bool:
    """Whether what stands on a class is the user's: a function of theirs, or what is none and may call one."""
    if type(found) is FunctionType:
        return is_user(found.__code__)
    return type(found) is not WrapperDescriptorType


def exceptions_of(error: BaseException) -> tuple[BaseException, ...]:
    """The exceptions of a group, none of another exception."""
    if _group is None or not issubclass(type(error), _group):
        return ()
    found: tuple[BaseException, ...] = _group.__dict__["exceptions"].__get__(error)
    return found


def _on_class(kind: type, name: str) -> Any:
    """What the first class that has an attribute of this name has there, itself."""
    for one in _mro(kind):
        found = _class_dict(one)
        if name in found:
            return found[name]
    return None

"""Makes many frozen values fast.

A frozen dataclass sets each field with `object.__setattr__`. A twin class that isn't frozen and has the same slots is
filled in a third of that time; its instance is then made one of the frozen class.
"""

from __future__ import annotations

from dataclasses import fields, make_dataclass
from typing import Any


def open_twin(frozen: type) -> Any:
    """A dataclass with the slots of `frozen`, for values whose `__class__` is then set to that."""
    return make_dataclass(f"Open{frozen.__name__}", [field.name for field in fields(frozen)], slots=True)

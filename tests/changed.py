"""A frozen value with some fields changed, whichever kind of frozen value it is."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import msgspec

Value = TypeVar("Value")


def replace(value: Value, **fields: Any) -> Value:
    """The value with other fields; `copy.replace` from Python 3.13 on."""
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **fields)
    return dataclasses.replace(value, **fields)  # type: ignore[type-var]

"""The tensors in arguments and results, with the paths that say where: `0`, `weight`, `0[2]`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from inplace.capture.code.objects import is_a, is_one_of, iterate
from inplace.capture.tables.tensors import TYPES

Pair = tuple[str, torch.Tensor]


def nested_in(path: str, value: Any) -> Iterator[Pair]:
    """The tensor that an argument is, or those in it."""
    if is_one_of(value, TYPES):
        yield path, value
    elif is_one_of(value, (tuple, list)):
        yield from nested(path, value, 2)


def nested(path: str, values: Any, depth: int) -> Iterator[Pair]:
    """The tensors in a list or tuple, and in those in it, down to `depth`."""
    for number, value in enumerate(values):
        if is_one_of(value, TYPES):
            yield f"{path}[{number}]", value
        elif depth > 1 and is_one_of(value, (tuple, list)):
            yield from nested(f"{path}[{number}]", value, depth - 1)


def tensors_in(result: Any) -> Iterator[torch.Tensor]:
    """The tensors that a call gave out."""
    for item in iterate(result):
        if is_one_of(item, TYPES):
            yield item  # type: ignore[misc]
        elif is_a(item, (tuple, list)):
            yield from tensors_in(item)

"""The tensors in arguments and results, with the paths that say where: `0`, `weight`, `0[2]`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from inplace.capture.tables.tensors import PLAIN

Pair = tuple[str, torch.Tensor]


def nested_in(path: str, value: Any) -> Iterator[Pair]:
    """The tensor that an argument is, or those in it."""
    if type(value) in PLAIN:
        yield path, value
    elif type(value) in (tuple, list):
        yield from nested(path, value, 2)


def nested(path: str, values: Any, depth: int) -> Iterator[Pair]:
    """The tensors in a list or tuple, and in those in it, down to `depth`."""
    for number, value in enumerate(values):
        if type(value) in PLAIN:
            yield f"{path}[{number}]", value
        elif depth > 1 and type(value) in (tuple, list):
            yield from nested(f"{path}[{number}]", value, depth - 1)


def tensors_in(result: Any) -> Iterator[torch.Tensor]:
    """The tensors that a call gave out."""
    if isinstance(result, tuple | list):
        for item in result:
            if type(item) in PLAIN:
                yield item
            elif isinstance(item, tuple | list):
                yield from tensors_in(item)

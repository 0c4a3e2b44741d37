"""Whose an optimizer is, and what it has as parameters."""

from __future__ import annotations

from typing import Any

from inplace.capture.code.objects import attributes_of, is_a, iterate, module_of_class


def is_of_torch(optimizer: object) -> bool:
    """Whether an optimizer is one of PyTorch's own."""
    return module_of_class(type(optimizer)).startswith("torch.optim.")


def params_of(optimizer: object) -> list[Any]:
    """What an optimizer has itself as parameters; one that wraps another may compute them, and is not asked.

    No generator: an interrupt in one that is closed would be lost.
    """
    found: list[Any] = []
    for group in iterate((attributes_of(optimizer) or {}).get("param_groups")):
        found += iterate(dict.get(group, "params") if is_a(group, dict) else None)
    return found

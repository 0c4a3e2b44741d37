"""Whose an optimizer is, and what it has as parameters."""

from __future__ import annotations

from typing import Any

from inplace.capture.code.objects import attributes_of, is_a, iterate, module_of_class


def is_of_torch(optimizer: object) -> bool:
    """Whether an optimizer is one of PyTorch's own."""
    return module_of_class(type(optimizer)).startswith("torch.optim.")


def states_of(optimizer: object) -> list[Any]:
    """One value of the state that an optimizer has of each of its parameters: the first that is no count of steps."""
    states: Any = (attributes_of(optimizer) or {}).get("state")
    found: list[Any] = []
    for param in params_of(optimizer) if is_a(states, dict) else ():
        state: Any = dict.get(states, param)
        keys = [key for key in state if type(key) is str and key != "step"] if type(state) is dict else []
        found += [state[key] for key in keys[:1]]
    return found


def params_of(optimizer: object) -> list[Any]:
    """What an optimizer has itself as parameters; one that wraps another may compute them, and is not asked.

    No generator: an interrupt in one that is closed would be lost.
    """
    found: list[Any] = []
    for group in iterate((attributes_of(optimizer) or {}).get("param_groups")):
        found += iterate(dict.get(group, "params") if is_a(group, dict) else None)
    return found

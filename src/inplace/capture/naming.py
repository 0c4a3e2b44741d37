"""Notes what the user calls tensors, modules and optimizers, and where an error has left their code."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

import torch

from inplace.capture.code.names import borrow_locals, scan
from inplace.capture.code.stacks import Stacks
from inplace.capture.freeze import Raw
from inplace.capture.tables.tensors import PLAIN
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.facts.model import Look


class Naming:
    """The names of one recording.

    Args:
        raw: where they are noted.
        seen: where tensors get their ids.
        stacks: where the user's stacks get theirs.
        namespace: where the user's variables are; None to leave names to the source text.
    """

    def __init__(self, raw: Raw, seen: TensorsSeen, stacks: Stacks, namespace: Mapping[str, object] | None) -> None:
        self._raw, self._seen, self._stacks, self._namespace = raw, seen, stacks, namespace
        self._modules: dict[int, int] = {}
        self._module_refs: list[Any] = []
        self._optimizers: dict[int, int] = {}

    def note_names(self, step: int) -> None:
        """Note the variables as they are at a step."""
        if self._namespace is not None:
            self._take_names(self._namespace, step)

    def note_error(self, error: BaseException) -> None:
        """Note where an exception has left the user's code."""
        stack = self._stacks.key_of_traceback(error.__traceback__)
        self._raw.failure = (type(error).__name__, str(error), stack)

    def note_locals(self, error: BaseException | None, step: int) -> None:
        """Note the variables of the functions that an exception went through; there may be none."""
        traceback = error.__traceback__ if error is not None else None
        while traceback is not None:
            frame = traceback.tb_frame
            if self._stacks.is_user(frame.f_code) and frame.f_locals is not frame.f_globals:
                borrow_locals(frame, lambda found: self._take_names(found, step))
            traceback = traceback.tb_next

    def note_optimizer(self, optimizer: torch.optim.Optimizer, name: str | None) -> None:
        """Note an optimizer; a `name` that comes later is added."""
        position = self._optimizers.get(id(optimizer))
        if position is not None and (name is None or self._raw.optimizers[position][0] is not None):
            return
        params = tuple(
            self._seen.id_of(param)
            for group in optimizer.param_groups
            for param in group["params"]
            if type(param) in PLAIN
        )
        if position is None:
            self._optimizers[id(optimizer)] = len(self._raw.optimizers)
            self._raw.optimizers.append((name, type(optimizer).__name__, params))
        else:
            self._raw.optimizers[position] = (name, *self._raw.optimizers[position][1:])

    def module_id(self, module: torch.nn.Module, name: str) -> int:
        """The number of a module, given to it now if it has none; a name is better than that of its class."""
        found = self._modules.get(id(module))
        if found is not None and self._module_refs[found]() is module:
            if self._raw.modules[found] == type(module).__name__:
                self._raw.modules[found] = name
            return found
        self._modules[id(module)] = len(self._raw.modules)
        self._raw.modules.append(name)
        self._module_refs.append(weakref.ref(module))
        return len(self._raw.modules) - 1

    def live_modules(self) -> list[torch.nn.Module]:
        """The modules that have a number and are still there."""
        return [module for ref in self._module_refs if (module := ref()) is not None]

    def _take_names(self, namespace: Mapping[str, object], step: int) -> None:
        for path, value in scan(namespace, lambda bound: self._raw.left_out.note(Look.NAMES, bound, step)):
            if isinstance(value, torch.nn.Module):
                self.module_id(value, path)
            elif isinstance(value, torch.optim.Optimizer):
                self.note_optimizer(value, path)
            else:
                self._raw.names.append((path, self._seen.id_of(value), step))

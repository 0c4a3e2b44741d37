"""Notes what the user calls tensors, modules and optimizers, and where an error has left their code."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from types import FrameType
from typing import Any

import torch

from inplace.capture.code.at_failure import custom_function_in, tensors_on_line
from inplace.capture.code.names import borrow_locals, scan
from inplace.capture.code.objects import is_a, is_one_of, message_of, name_of_class
from inplace.capture.code.optimizers import params_of
from inplace.capture.code.stacks import Stacks, is_module_call
from inplace.capture.freeze import Raw
from inplace.capture.tables.identities import Identities
from inplace.capture.tables.tensors import TYPES
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.facts.model import Look, Name, TensorId


class Naming:
    """The names of one recording.

    Args:
        raw: where they are noted.
        seen: where tensors get their ids.
        stacks: where the user's stacks get theirs.
        namespace: where the user's variables are; None to leave names to the source text.
        failed: is told of a fault that costs one name; the others are noted all the same.
    """

    def __init__(
        self,
        raw: Raw,
        seen: TensorsSeen,
        stacks: Stacks,
        namespace: Mapping[str, object] | None,
        failed: Callable[[Exception], None],
    ) -> None:
        self._raw, self._seen, self._stacks, self._namespace = raw, seen, stacks, namespace
        self._failed = failed
        self._modules, self._optimizers = Identities(), Identities()
        self._around = Identities()  # modules whose forward ran around that of another

    def close(self) -> None:
        """Let go of the variables."""
        self._namespace = None
        self._modules, self._optimizers, self._around = Identities(), Identities(), Identities()

    def note_names(self, step: int) -> None:
        """Note the variables as they are at a step."""
        if self._namespace is not None:
            self._take_names(self._namespace, step)

    def note_error(self, error: BaseException, step: int) -> None:
        """Note where an exception has left the user's code."""
        stack = self._stacks.key_of_traceback(error.__traceback__)
        said = name_of_class(type(error)), message_of(error, self._stacks.is_user)
        self._raw.failure = (*said, stack, (), "")
        self._raw.failure = (*said, stack, tuple(self._on_line(error, step)), custom_function_in(error.__traceback__))

    def _on_line(self, error: BaseException, step: int) -> list[Name]:
        """The tensors on the line that an exception has left."""
        found: list[Name] = []

        def take(path: str, tensor: torch.Tensor) -> None:
            try:
                found.append(Name(path, self._seen.id_of(tensor), step))
            except Exception as fault:
                self._failed(fault)

        tensors_on_line(error.__traceback__, self._stacks.is_user, take)
        return found

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
        position = self._optimizers.of(optimizer)
        if position is not None and (name is None or self._raw.optimizers[position][0] is not None):
            return
        params = tuple(self._seen.id_of(param) for param in params_of(optimizer) if is_one_of(param, TYPES))
        if position is None:
            self._optimizers.give(optimizer)
            self._raw.optimizers.append((name, name_of_class(type(optimizer)), params))
        else:
            self._raw.optimizers[position] = (name, *self._raw.optimizers[position][1:])

    def module_id(self, module: torch.nn.Module, name: str | None = None) -> int:
        """The number of a module, given to it now if it has none; a name is better than that of its class."""
        found, kind = self._modules.of(module), name_of_class(type(module))
        if found is not None:
            if name is not None and self._raw.modules[found] == kind:
                self._raw.modules[found] = name
            return found
        self._modules.give(module)
        self._raw.modules.append(kind if name is None else name)
        return len(self._raw.modules) - 1

    def module_at(self, frame: FrameType) -> int:
        """The number of the module whose forward a frame runs, -1 for none; of a new one, those around it are noted.

        `_call_impl` keeps its arguments to the end anyway, so the dict that `f_locals` makes lengthens no life.
        """
        module: Any = frame.f_locals.get("self")
        if not is_a(module, torch.nn.Module):
            return -1
        if self._modules.of(module) is None:
            self._note_around(frame.f_back)
        return self.module_id(module)

    def _note_around(self, frame: FrameType | None) -> None:
        """Note the modules whose forward runs in the frames around one."""
        while frame is not None:
            module: Any = frame.f_locals.get("self") if is_module_call(frame.f_code) else None
            if is_a(module, torch.nn.Module) and self._around.of(module) is None:
                self._around.give(module)
            frame = frame.f_back

    def note_buffers(self, buffers: Iterable[tuple[weakref.ref[torch.nn.Module], str, TensorId, int]]) -> None:
        """Note the names of buffers, each as its model, its name below that, its tensor, and when it had that name."""
        for ref, name, tensor, step in buffers:
            model = ref()
            found = "" if model is None else self._raw.modules[self.module_id(model)]
            is_known = model is not None and found != name_of_class(type(model))
            self._raw.names.append((f"{found}.{name}" if is_known else name, tensor, step))

    @property
    def modules(self) -> Identities:
        """The numbers that modules have."""
        return self._modules

    def live_modules(self) -> list[torch.nn.Module]:
        """The modules that have a number, or ran around others, and are still there."""
        return [module for ref in [*self._modules.refs, *self._around.refs] if (module := ref()) is not None]

    def _take_names(self, namespace: Mapping[str, object], step: int) -> None:
        left_out = self._raw.left_out
        for path, value in scan(namespace, lambda bound: left_out.note(Look.NAMES, bound, step), self._failed):
            try:
                self._take(path, value, step)
            except Exception as fault:  # noqa: PERF203  # it costs this name only
                self._failed(fault)

    def _take(self, path: str, value: Any, step: int) -> None:
        if is_a(value, torch.nn.Module):
            self.module_id(value, path)
        elif is_a(value, torch.optim.Optimizer):
            self.note_optimizer(value, path)
        else:
            self._raw.names.append((path, self._seen.id_of(value), step))

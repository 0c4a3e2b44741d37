"""What the recorder does around each call that the mode tells it of."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import torch

from inplace.capture.calls.known import Known
from inplace.capture.calls.listener import Listener
from inplace.capture.calls.optimizer_steps import LOST, is_in_step
from inplace.capture.code.objects import is_a, is_one_of, iterate
from inplace.capture.faults import NAMES, SAMPLES, Faults
from inplace.capture.parts import Parts
from inplace.capture.patches.mode_stack import is_handed_on
from inplace.capture.tables.tensors import PLAIN, TYPES
from inplace.facts.errors import OverwriteError
from inplace.facts.model import Function, Kind, StorageId


class Listening(Listener):
    """Has the parts of the window that is open note what comes with calls.

    Args:
        faults: catches ours.
        strict: whether a write that would destroy a save is stopped with an OverwriteError.
        light: whether no names, values, gradients or bytes of others are noted.
        full: is called after a call when there are as many as a window may hold.

    Attributes:
        parts: those of the window.
    """

    parts: Parts

    def __init__(self, faults: Faults, *, strict: bool, light: bool, full: Callable[[], None]) -> None:
        self._faults, self.strict, self.names_modules, self._full = faults, strict, not light, full

    def turn_to(self, parts: Parts) -> None:
        """Have these note from now on."""
        self.parts, self.samples = parts, parts.samples
        self.watched, self.asleep = parts.contents.watched, parts.contents.asleep
        self.external = parts.seen.storages.external

    @property
    def looks_at_each(self) -> bool:
        """Whether something is to be looked at before each call, whoever makes it."""
        return bool(self.watched or self.external or self.strict)

    def check(self, function: Function, step: int, tensors: list[torch.Tensor]) -> None:
        refusal = self.parts.saves.refusal(function, step, tensors)
        if refusal is not None:
            self.parts.log.raised[step] = (OverwriteError.__name__, refusal)
            raise OverwriteError(refusal)

    def before(self, known: Known, args: tuple[Any, ...], kwargs: Mapping[str, Any], stack: int) -> None:
        parts = self.parts
        if self.watched or self.external:
            self.look()
        if known.collective:
            parts.collectives.begin(known, args, kwargs)
        if known.kind is Kind.BACKWARD:
            parts.collectives.settle()
            parts.collectives.hold(stack)
            parts.accumulated.hold(stack)
            roots = _tensors_of_backward(args, kwargs)
            for root in roots:
                parts.seen.reread(root)
            if self.asleep:
                parts.contents.look_asleep(len(parts.log))
            if self.samples is not None:
                self._faults.spared(SAMPLES, self.samples.look)
            parts.walks.before(roots, stack)

    def after(self, known: Known, tensors: list[torch.Tensor], result: Any) -> None:
        parts = self.parts
        if known.kind is Kind.SETTER and known.label == "data":
            self.written_unseen(None)
        if known.kind is Kind.GETTER and known.label == "grad" and type(result) in PLAIN:
            parts.collectives.read(result, parts.naming.live_modules)
            parts.accumulated.know(result)
        elif known.kind is Kind.SETTER and known.label == "grad" and len(tensors) > 1:
            parts.accumulated.know(tensors[1])
        elif known.kind is Kind.BACKWARD:
            parts.collectives.reduced()
            parts.accumulated.added()
        if known.kind is Kind.EXPORT and tensors:
            parts.watch(tensors[0], since=len(parts.log))
        if self.external or (self.watched and known.kind is not Kind.TO_PYTHON):
            self.settle()

    def wrote(self, tensors: list[torch.Tensor]) -> None:
        self.parts.collectives.end(tensors)

    def raised(self, known: Known, tensors: list[torch.Tensor], step: int) -> None:
        if known.collective:
            self.parts.collectives.leave()
        if known.kind is Kind.BACKWARD:
            self.parts.accumulated.added()
            self.parts.walks.raised(tensors, step)

    def full(self) -> None:
        self._full()

    def written_unseen(self, storage: StorageId | None) -> None:
        self.parts.walks.wrote(storage)

    def look(self) -> None:
        self.parts.watch_external()
        self.parts.contents.look(len(self.parts.log))

    def settle(self) -> None:
        self.parts.watch_external()  # what the call just noted was the first to see: the next line may write to it
        self.parts.contents.settle(len(self.parts.log) - 1)

    def look_at(self, tensors: list[torch.Tensor]) -> None:
        self.look_over(self.parts.contents.under(tensors))

    def settle_at(self, tensors: list[torch.Tensor], *, changed: bool) -> None:
        contents = self.parts.contents
        contents.settle_over(contents.under(tensors), len(self.parts.log) - 1, changed=changed)

    def look_over(self, some: list[Any]) -> None:
        self.parts.contents.look_over(some, len(self.parts.log) - 1)

    def settle_over(self, some: list[Any]) -> None:
        self.parts.contents.settle_over(some, len(self.parts.log) - 1, changed=False)

    def module_of(self, frame: FrameType) -> int:
        if not self.names_modules:
            return -1
        found = self._faults.spared(NAMES, self.parts.naming.module_at, frame)
        return -1 if found is None else int(found)

    def switched_off(self, frame: FrameType) -> None:
        self.parts.gradients.switched_off(frame)

    def resume(self) -> None:
        # While modes of the user's hand a call on they are off the stack, and ours has no place in it.
        if self.parts.steps.is_left and not is_handed_on(sys._getframe(1)):
            self._faults.protected(self.restore, None)

    def restore(self, error: BaseException | None) -> None:
        """Go on where an exception has left an optimizer's step, and say so, unless that is what ends it all."""
        if self.parts.steps.restore() and not is_in_step(error):
            self.parts.raw.notes.append(LOST)

    def leave_off(self, why: str) -> None:
        self._faults.leave_off(why)

    def fault(self, error: BaseException) -> None:
        self._faults.fault(error)


def _tensors_of_backward(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
    first = args[0] if args else kwargs.get("tensors", kwargs.get("outputs"))
    found = iterate(first) if is_a(first, (tuple, list)) else [first]
    return [tensor for tensor in found if is_one_of(tensor, TYPES)]

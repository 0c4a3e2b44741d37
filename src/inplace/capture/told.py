"""What happens where no call arrives at the mode: PyTorch is hooked and patched to tell of it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch
from torch.optim.optimizer import (
    _global_optimizer_post_hooks,
    _global_optimizer_pre_hooks,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from inplace.capture.calls.mode import CallMode
from inplace.capture.code.tracebacks import leave
from inplace.capture.faults import BUFFERS, GRADIENTS, NAMES, Faults
from inplace.capture.graph.handles import follow_hooks
from inplace.capture.listening import Listening
from inplace.capture.patches.forward_stack import keep_our_frames_out
from inplace.capture.patches.ledger import Hooked, Ledger
from inplace.capture.patches.mode_off import ModeOff, around
from inplace.capture.patches.weak_references import forgetting, leave_ours_out

_ENGINE = "_engine_run_backward"


class Told:
    """Is told of optimizers, backwards, collectives, and of tensors to which nobody may hold a weak reference.

    Args:
        mode: observes the calls.
        listening: what is done around them.
        ledger: where changes to PyTorch are noted, and undone.
        faults: catches ours.
        light: whether gradients are not noted.
        end_window: is called after a step of an optimizer when there are as many calls as a window is to hold.
    """

    def __init__(
        self,
        mode: CallMode,
        listening: Listening,
        ledger: Ledger,
        faults: Faults,
        *,
        light: bool,
        end_window: Callable[[], None],
    ) -> None:
        self._mode, self._listening, self._ledger, self._faults = mode, listening, ledger, faults
        self._light, self._end_window = light, end_window

    def start(self, mode_off: ModeOff) -> None:
        """Hook and patch PyTorch; `mode_off` patches functions that are run without the mode."""
        mode_off.patch(torch.utils, "weakref", lambda theirs: forgetting(theirs, self._forget))
        keep_our_frames_out(mode_off.patch)
        leave_ours_out(mode_off.patch)
        follow_hooks(self._ledger.replace)
        mode_off.patch(torch.optim.Optimizer, "add_param_group", self._on_build)
        mode_off.patch(torch.optim.Optimizer, "state_dict", self._on_give)
        mode_off.patch(torch.optim.Optimizer, "load_state_dict", self._on_load)
        # `Tensor.backward`, `autograd.backward` and `autograd.grad` all call it.
        if hasattr(torch.autograd, _ENGINE):
            mode_off.patch(torch.autograd, _ENGINE, self._engine)
        c10d = sys.modules.get("torch.distributed.distributed_c10d")
        if c10d is not None:
            mode_off.patch(c10d.Work, "wait", self._on_wait)
            mode_off.patch(torch.nn.parallel.DistributedDataParallel, "_sync_buffers", self._on_sync)

    def hook_steps(self) -> None:
        """Be told before and after each step of an optimizer."""
        before, after = _global_optimizer_pre_hooks, _global_optimizer_post_hooks
        self._ledger.make(Hooked(register_optimizer_step_pre_hook, self._on_step, before))
        self._ledger.make(Hooked(register_optimizer_step_post_hook, self._after_step, after))

    # ------------------------------------------------------------ optimizers

    def _on_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not self._mode.is_here():
            return
        frame, parts = sys._getframe(1), self._listening.parts
        if not self._light:
            if not parts.gradients.knows(optimizer):
                self._faults.spared(NAMES, parts.naming.note_optimizer, optimizer, None)
                self._faults.spared(GRADIENTS, parts.gradients.hidden, parts.naming.live_modules, optimizer, frame)
            else:
                self._faults.spared(GRADIENTS, parts.gradients.flagged, parts.naming.live_modules, optimizer, frame)
            self._faults.spared(GRADIENTS, parts.gradients.stepped, optimizer, frame)
        if not args[1:] and not kwargs:  # a closure is the user's code
            self._faults.protected(self._begin_step, optimizer, frame)

    def _begin_step(self, optimizer: torch.optim.Optimizer, frame: FrameType) -> None:
        self._listening.resume()
        steps = self._listening.parts.steps
        if not self._listening.looks_at_each and not steps.is_left:
            steps.begin(optimizer, frame)

    def _after_step(self, *_: Any) -> None:
        if self._mode.is_here():
            parts = self._listening.parts
            self._faults.protected(parts.steps.end)
            if len(parts.log) >= parts.notes.most:
                self._end_window()

    def on_clear(self, owner: Any, frame: FrameType) -> None:
        """Somebody clears gradients: an optimizer or a module, its `zero_grad` called in a frame."""
        if not self._light and self._mode.is_here():
            self._faults.spared(GRADIENTS, self._listening.parts.gradients.cleared, owner, frame)

    def _on_build(self, theirs: Any) -> Any:
        """`Optimizer.add_param_group`, which also the constructor calls, told of after it has run."""
        return _followed(theirs, functools.partial(self._faults.spared, GRADIENTS, self._built))

    def _built(self, args: tuple[Any, ...], frame: FrameType) -> None:
        if not self._light and self._mode.is_here() and args:
            self._listening.parts.gradients.built(args[0], frame)

    def _on_give(self, theirs: Any) -> Any:
        """`Optimizer.state_dict`, told of after it has run."""
        return around(theirs, lambda _: None, functools.partial(self._faults.spared, GRADIENTS, self._given))

    def _given(self, args: tuple[Any, ...], _: object, frame: FrameType) -> None:
        if not self._light and self._mode.is_here() and args:
            self._listening.parts.gradients.state_given(args[0], frame)

    def _on_load(self, theirs: Any) -> Any:
        """`Optimizer.load_state_dict`, told of after it has run, with what the optimizer had before."""
        before = functools.partial(self._faults.spared, GRADIENTS, self._states)
        return around(theirs, before, functools.partial(self._faults.spared, GRADIENTS, self._loaded))

    def _states(self, args: tuple[Any, ...]) -> tuple[int, ...] | None:
        is_told = not self._light and self._mode.is_here() and args
        return self._listening.parts.gradients.states(args[0]) if is_told else None

    def _loaded(self, args: tuple[Any, ...], before: tuple[int, ...] | None, frame: FrameType) -> None:
        if before is not None and self._mode.is_here():
            self._listening.parts.gradients.state_loaded(args[0], before, frame)

    # ------------------------------------------------------------ backwards and collectives

    def _engine(self, theirs: Any) -> Any:
        """The engine, under the mode; see `CallMode.run_engine`."""
        return functools.partial(self._mode.run_engine, theirs)

    def _on_wait(self, theirs: Any) -> Any:
        """`Work.wait`, after which what an asynchronous collective wrote is there."""
        return _followed(theirs, functools.partial(self._faults.protected, self._waited))

    def _waited(self, *_: Any) -> None:
        if self._mode.is_here():
            self._listening.parts.collectives.settle()

    def _on_sync(self, theirs: Any) -> Any:
        """`DistributedDataParallel._sync_buffers`; see NOTE [ Buffers of DistributedDataParallel ]."""

        @functools.wraps(theirs)
        def _sync_buffers(*args: Any, **kwargs: Any) -> Any:
            held = None
            if self._mode.is_here() and args:
                held = self._faults.spared(BUFFERS, self._listening.parts.collectives.held_by, args[0])
            try:
                found = theirs(*args, **kwargs)
            except BaseException as error:
                del args, kwargs, held
                leave(error)
                raise
            if held and self._mode.is_here():
                overwritten = self._listening.parts.collectives.overwritten
                self._faults.spared(BUFFERS, overwritten, args[0], held, sys._getframe(1))
            return found

        return _sync_buffers

    # ------------------------------------------------------------ weak references

    def _forget(self, tensor: Any) -> None:
        """Hold no weak reference to a tensor any more."""
        parts = self._listening.parts
        if parts.samples is not None:
            self._faults.protected(parts.samples.forget, tensor)
        self._faults.protected(parts.seen.forget, tensor)
        self._faults.protected(parts.contents.forget, tensor)


def _followed(theirs: Any, then: Callable[[tuple[Any, ...], FrameType], object]) -> Any:
    """A function of PyTorch's behind whose calls `then` is given their arguments and the frame that made them."""

    @functools.wraps(theirs)
    def followed(*args: Any, **kwargs: Any) -> Any:
        try:
            found = theirs(*args, **kwargs)
        except BaseException as error:
            del args, kwargs
            leave(error)
            raise
        then(args, sys._getframe(1))
        return found

    return followed

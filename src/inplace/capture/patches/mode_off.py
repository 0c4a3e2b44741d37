"""Stands aside where PyTorch asks whether a mode is on, and would do something else because of ours.

NOTE [ Compiled code ]
`torch.compile` takes the modes that are on as part of the program: it would trace ours, break the graph at each call of
it, and compile functions again that were compiled before. So the mode is off while compiled code runs; what it calls is
not recorded. Dynamo switches itself on and off by one function, which tells us when; within, it does so again while it
compiles. It is imported late, maybe while we record: then by `torch.compile`.

NOTE [ Fused attention ]
`nn.TransformerEncoder` and `nn.MultiheadAttention` have a faster path in eval, with other last digits and zeros where
padded. They refuse it where `torch.overrides.has_torch_function`, which they look up when they run, is true.

NOTE [ Functions that hand themselves over ]
A function that PyTorch has written in Python calls `handle_torch_function`, which takes the mode off, calls it, and
puts it back. We do so in its place, and take its frame and ours out of the traceback of what was raised.

NOTE [ Gradients set to None ]
`zero_grad` of optimizers and modules asks each parameter for its gradient twice and sets it to None, which no line of
the user's did: none of it is recorded call by call, and all of it would come by us. Where it writes zeros instead it is
left to the mode.

NOTE [ Traces of TorchScript ]
While `torch.jit.trace` runs a function, every read of a shape or value counts as part of it, ours too.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from inplace.capture.code.tracebacks import leave, leave_handed_over
from inplace.capture.patches.ledger import Ledger, Replacement
from inplace.capture.patches.mode_stack import Standing, height, modes_below, pop, push, put_on, take_off

_OURS = __name__.partition(".")[0] + "."  # modules of this package
_DYNAMO = "torch._dynamo.eval_frame"
_SWITCH = "_maybe_set_eval_frame"
_POPPED = "_pop_mode_temporarily"
# What PyTorch looks up when it needs it, and runs with our mode off.
_UNSEEN: tuple[tuple[Any, str], ...] = (
    (torch.overrides, "has_torch_function"),
    (torch.jit._trace, "_trace_impl"),
    (torch.jit._trace, "trace_module"),
    (torch.jit, "trace_module"),
    (torch._C, "_create_graph_by_tracing"),
)


class Popped:
    """The topmost mode is off in the block, as `torch.overrides._pop_mode_temporarily` has it; compiled, if that is."""

    __slots__ = ("_mode",)

    def __enter__(self) -> TorchFunctionMode:
        mode: TorchFunctionMode = pop()
        self._mode = mode
        return mode

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        push(self._mode)
        if error is not None:
            left(self._mode, error)


def left(mode: TorchFunctionMode, error: BaseException) -> None:
    """A block in which a mode is off was left by an error; see NOTE [ Functions that hand themselves over ]."""
    if type(mode).__module__.startswith(_OURS):
        leave_handed_over(error)


def _writes_zeros(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call of `Optimizer.zero_grad` writes gradients rather than set them to None."""
    return not (args[1] if len(args) > 1 else kwargs.get("set_to_none", True))


def _nothing(_owner: Any, _frame: FrameType) -> None:
    """Nobody is told who clears gradients."""


def around(
    theirs: Any, before: Callable[[tuple[Any, ...]], Any], after: Callable[[tuple[Any, ...], Any, FrameType], object]
) -> Any:
    """A function of PyTorch's, with what `before` finds in its arguments given to `after`, and the frame behind it."""

    @functools.wraps(theirs)
    def told(*args: Any, **kwargs: Any) -> Any:
        known = before(args)
        try:
            found = theirs(*args, **kwargs)
        except BaseException as error:
            del args, kwargs  # which the traceback would hold
            leave(error)
            raise
        after(args, known, sys._getframe(1))
        return found

    return told


class ModeOff:
    """Takes a mode off around what would behave otherwise with it.

    Args:
        mode: ours.
        ledger: where what we replace in PyTorch is noted, and undone.
        clears: is told of the optimizer or module whose `zero_grad` is called, and of our frame.
    """

    def __init__(
        self, mode: TorchFunctionMode, ledger: Ledger, clears: Callable[[Any, FrameType], None] = _nothing
    ) -> None:
        self._mode, self._ledger, self._clears = mode, ledger, clears
        self._thread = 0
        self._place: Standing | None = None  # where the mode stood, if it was on, before compiled code ran
        self._outermost = 0  # the frame that has switched Dynamo on; 0 while no compiled code runs
        self._patches: list[Replacement] = []  # which are off while compiled code runs

    def start(self) -> None:
        """Begin in this thread; the mode may be on already or not."""
        self._thread = threading.get_ident()
        for owner, name in _UNSEEN:
            if hasattr(owner, name):
                self.patch(owner, name, self._unseen)
        for owner in (torch.optim.Optimizer, torch.nn.Module):
            self.patch(owner, "zero_grad", self._clearing)
        if hasattr(torch.overrides, _POPPED):
            self.patch(torch.overrides, _POPPED, lambda _: Popped)
        self.patch(torch.overrides, "_pop_mode", self._pop_mode)
        # What asks which modes are on, as `torch.get_default_device` and autocast do, is told of the user's.
        self.patch(torch.overrides, "_len_torch_function_stack", self._height)
        self.patch(torch.overrides, "_get_function_stack_at", self._stack_at)
        if _DYNAMO in sys.modules:
            self._follow_dynamo()
        else:
            self.patch(torch, "compile", self._compile)

    def patch(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Replace a function of PyTorch's by what `make` makes of it, but not while compiled code runs."""
        self._patches.append(self._ledger.replace(owner, name, make))

    def _follow_dynamo(self) -> None:
        dynamo = sys.modules.get(_DYNAMO)
        if dynamo is not None and hasattr(dynamo, _SWITCH):
            self.patch(dynamo, _SWITCH, self._switch)

    # ------------------------------------------------------------ what we make of PyTorch's functions

    def _compile(self, theirs: Any) -> Any:
        @functools.wraps(theirs)
        def compile(*args: Any, **kwargs: Any) -> Any:  # noqa: A001  # its name
            found = theirs(*args, **kwargs)
            if _SWITCH not in {patch.name for patch in self._patches}:
                self._follow_dynamo()
            return found

        return compile

    def _clearing(self, theirs: Any) -> Any:
        return self._unseen(theirs, unless=_writes_zeros, tell=self._clears)

    def _unseen(
        self,
        theirs: Any,
        unless: Callable[[tuple[Any, ...], dict[str, Any]], bool] | None = None,
        tell: Callable[[Any, FrameType], None] | None = None,
    ) -> Any:
        @functools.wraps(theirs)
        def unseen(*args: Any, **kwargs: Any) -> Any:
            if tell is not None and args:
                tell(args[0], sys._getframe(1))
            place = None if unless is not None and unless(args, kwargs) else take_off(self._mode)
            try:
                return theirs(*args, **kwargs)
            except BaseException as error:
                del args, kwargs  # which the traceback would hold
                leave(error)
                raise
            finally:
                if place is not None:
                    put_on(self._mode, place)

        return unseen

    def _pop_mode(self, theirs: Any) -> Any:
        @functools.wraps(theirs)
        def pop_mode() -> Any:
            # A mode that was on before ours may end before it: a generator of an earlier cell that held it open.
            found = theirs()
            if found is not self._mode or not height():
                return found
            found = theirs()
            push(self._mode)
            return found

        return pop_mode

    def _height(self, theirs: Any) -> Any:
        return lambda: theirs() - (modes_below(self._mode) is not None)

    def _stack_at(self, theirs: Any) -> Any:
        def stack_at(number: int) -> Any:
            place = modes_below(self._mode)
            return theirs(number if place is None or number < place else number + 1)

        return stack_at

    def _switch(self, theirs: Any) -> Any:
        @functools.wraps(theirs)
        def switch(callback: Any) -> Any:
            # Nothing of ours may run after it, or Dynamo would compile that too.
            if threading.get_ident() == self._thread:
                self._follow(sys._getframe(1), on=callback is not None)
            return theirs(callback)

        return switch

    def _follow(self, frame: FrameType, *, on: bool) -> None:
        if on and not self._outermost:
            self._place, self._outermost = take_off(self._mode), id(frame)
        elif not on and self._outermost == id(frame):
            place, self._place, self._outermost = self._place, None, 0
            if place is not None:
                put_on(self._mode, place)
        else:
            return
        for patch in self._patches:  # what is compiled must not depend on them either
            if patch.name != _SWITCH:
                (patch.undo if on else patch.make)()

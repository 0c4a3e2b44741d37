"""The function mode: one row of facts per call of the user's code.

NOTE [ What the mode may do ]
It passes every call on as it came, reads metadata before and after, and lets go of the tensors. Whatever goes wrong on
our side is caught, ends the recording and becomes a note; whatever goes wrong in the call is the user's and passes
through untouched.

NOTE [ The hot path ]
`__torch_function__` runs for every call. Most calls are of functions that change nothing and give out one new tensor,
and their arguments are as they were noted last. Those it notes itself: a function of ours would take longer than what
it did. It reads nothing that can be told after the recording. All others, and whatever turns out to be otherwise on the
way, are left to call_notes.py. Where shorthand.pyx was built, that notes the plainest of those calls instead.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from inplace.capture.bytes.samples import FIRST
from inplace.capture.calls.call_notes import (
    OWNED,
    CallNotes,
    call_row,
    grad_enabled,
    inference,
    sequence,
    tensor_arguments,
    transforming,
)
from inplace.capture.calls.functions import dropped, variant_of
from inplace.capture.calls.known import Known
from inplace.capture.calls.listener import Listener
from inplace.capture.code.stacks import Stacks
from inplace.capture.code.tracebacks import leave, leave_whole
from inplace.capture.patches.mode_stack import take_off
from inplace.capture.tables.arrivals import Arrivals
from inplace.capture.tables.call_log import OUTS, SEQ0, SEQ1, STACK, WIDTH
from inplace.capture.tables.tensors import PLAIN
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.facts.errors import OverwriteError
from inplace.facts.model import StateId

Shorthand: Any = None
"""What notes calls in short, compiled; None where it was not built, or nobody wants it."""
# Where Python has no GIL, to load what counts on it would bring it back.
if not os.environ.get("INPLACE_PURE") and "t" not in getattr(sys, "abiflags", ""):
    with contextlib.suppress(Exception):  # it was not built, or PyTorch is not as it knows it
        from inplace.capture.calls.shorthand import Shorthand, entry_of

_DISTRIBUTED = str(Path(torch.__file__).parent / "distributed")
_NUMBERS = {bool, int, float}  # what a call gives out that gives out no tensor
_OFF = (False,)  # arguments of what switches gradient mode off


class CallMode(TorchFunctionMode):
    """Observes every torch function that the user's code calls in this thread.

    Args:
        stacks: where the user's stacks get their ids.
        hooks: what the recorder does around calls of other kinds than plain operations.
    """

    __slots__ = ("_shorthand", "active")

    _notes: CallNotes
    _seen: TensorsSeen
    _arrivals: Arrivals

    def __init__(self, stacks: Stacks, hooks: Listener) -> None:
        super().__init__()
        self._stacks, self._hooks = stacks, hooks
        self.active = True
        self._alone = True  # whether no other mode is asked about what we read
        self._shorthand: Any = None
        self._thread = threading.get_ident()

    def turn_to(self, notes: CallNotes, seen: TensorsSeen, arrivals: Arrivals) -> None:
        """Note calls in these tables from now on, while none is being noted.

        Args:
            notes: what notes the calls that are not noted in short.
            seen: where tensors get their ids.
            arrivals: where those that calls give out get theirs.
        """
        self._notes, self._seen, self._arrivals = notes, seen, arrivals
        if not self._alone:
            notes.shield()
        elif Shorthand is not None:
            self._shorthand = Shorthand(notes, seen, arrivals, self._stacks, self._hooks)
            arrivals.meet_view, seen.storages.owners = self._shorthand.meet_view, self._shorthand.owners
            seen.compiled = self._shorthand

    def is_here(self) -> bool:
        """Whether the thread that calls is the recorded one: modes are per thread, hooks and patches are not."""
        return self.active and threading.get_ident() == self._thread

    def shield(self) -> None:
        """Keep our reads from the modes that are on already: they would be asked about each of them."""
        self._alone, self._shorthand = False, None
        self._notes.shield()

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        try:
            take_off(self)
        finally:
            take_off(self)  # again, where an interrupt came meanwhile

    def __torch_function__(  # noqa: PLR0912, PLR0915  # see NOTE [ The hot path ]
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if kwargs is None:
            kwargs = {}
        pending = known = None
        asleep = False
        notes = self._notes
        step = begun = -1
        try:
            if self.active:
                known = notes.known.get(func) or notes.learn(func)
                if not known.passed and not (known.asked and self._asks_itself(known, sys._getframe(1).f_code)):
                    stacks, hooks = self._stacks, self._hooks
                    stack, module = stacks.key_of(sys._getframe(1))
                    count, noted = stacks.times[stack], None
                    if (
                        known.brief
                        and known.id >= 0
                        and self._alone
                        and transforming() is None
                        and not (known.varies and variant_of(known.facts.name, args, kwargs))
                    ):
                        seen, log = self._seen, notes.log
                        calls, given = log.calls, log.given
                        if seen.dead:
                            seen.bury()
                        noted = notes.unchanged(args, kwargs)
                        asleep = bool(noted and hooks.asleep and notes.takes_asleep(args, kwargs))
                        if noted and not (asleep and known.open):
                            if hooks.watched or hooks.external:
                                seen.step = len(calls) // WIDTH
                                hooks.look()
                            owner = -1 if module is None or count >= OWNED else hooks.module_of(module)
                            mode = 2 if inference() else 0 if grad_enabled() else 1
                            stacks.times[stack] = count + 1
                            step = seen.step = len(calls) // WIDTH
                            seen.detail = count < notes.detailed
                            begun = sequence() - log.origin
                            calls.frombytes(
                                call_row(known.id, stack, mode, owner, begun, begun, len(given), len(log.outputs), 0)
                            )
                            given.frombytes(noted)
                            if notes.running:
                                log.within[step] = notes.running[-1]
                            if asleep:
                                hooks.look_at(tensor_arguments(args, kwargs))
                    if step < 0:
                        pending = notes.begin(known, args, kwargs, stack, module, noted)
                elif known.switches:
                    if args == _OFF and grad_enabled():
                        self._hooks.switched_off(sys._getframe(1))
                elif known.drops:
                    kwargs = {**dropped(known.label, sys._getframe(1)), **kwargs}
        except OverwriteError:
            raise
        except BaseException as fault:
            step = -1
            self._hooks.fault(fault)
            if not isinstance(fault, Exception):
                del args, kwargs
                leave_whole(fault)
                raise
        if known is None or (pending is None and step < 0):
            try:
                return func(*args, **kwargs)
            except BaseException as error:
                del args, kwargs
                leave(error)
                raise
        running = len(notes.running) if known.backward else None
        try:
            if running is not None and pending is not None:
                notes.running.append(pending[0])
            result = func(*args, **kwargs)
        except BaseException as error:
            if pending is None:
                pending = step, tensor_arguments(args, kwargs), False, begun
            self._guarded(notes.end_raised, known, pending, error)
            # The traceback holds this frame, and must not hold the user's tensors with it.
            del args, kwargs, pending
            leave(error)
            raise
        finally:
            if running is not None:
                del notes.running[running:]
        try:
            if pending is not None:
                notes.end(known, pending, result)
            else:
                self._end(known, step, args, kwargs, result, asleep)
            if (step if pending is None else pending[0]) >= notes.most:
                self._hooks.full()
        except BaseException as fault:
            self._hooks.fault(fault)
            if not isinstance(fault, Exception):
                del args, kwargs, pending, result
                leave_whole(fault)
                raise
        return result

    def spares(self, fault: BaseException) -> bool:
        """Leave off for a fault of ours in what is compiled; False where it is not one, and is to be raised."""
        if not isinstance(fault, OverwriteError):
            self._hooks.fault(fault)
        return isinstance(fault, Exception) and not isinstance(fault, OverwriteError)

    def raised(
        self, known: Known, step: int, args: tuple[Any, ...], kwargs: dict[str, Any], error: BaseException
    ) -> None:
        """Note that a call has raised which what is compiled has noted."""
        begun = self._notes.log.calls[step * WIDTH + SEQ0]
        self._guarded(self._notes.end_raised, known, (step, tensor_arguments(args, kwargs), False, begun), error)

    def running(self) -> list[int]:
        """The steps of the calls that have not returned, of those that what is compiled has noted."""
        return [] if self._shorthand is None else list(self._shorthand.running())

    def _end(
        self, known: Known, step: int, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, asleep: object
    ) -> None:
        """Note what a call has given out that was noted in short; `asleep` is whether it took what sleeps."""
        notes, seen, hooks = self._notes, self._seen, self._hooks
        log = notes.log
        calls = log.calls
        begun, count = calls[step * WIDTH + SEQ0], self._stacks.times[calls[step * WIDTH + STACK]] - 1
        ended, made = sequence() - log.origin, -1
        if ended != begun:
            calls[step * WIDTH + SEQ1] = ended
            if ended == begun + 1:
                made = begun + log.origin
            elif known.fresh:
                made = notes.last_made(known, result, begun, ended)
        if seen.dead:
            seen.bury()
        state = None if known.open else self._state_of(known, result, step, made)
        if state is not None:
            log.outputs.append(state)
            calls[step * WIDTH + OUTS] = 1  # now, since an interrupt may have come before
        elif type(result) in _NUMBERS:
            if known.numbers and type(result) is not bool:
                log.results[step] = result
        else:
            nodes = ended - begun
            notes.note_outcome(known, step, tensor_arguments(args, kwargs), result, made, nodes, changes=known.changes)
        if ended != begun and (samples := hooks.samples) is not None and (samples.is_on or count < FIRST):
            samples.take(known, step, tensor_arguments(args, kwargs), result, ended - begun)
        if hooks.external or (known.changes and hooks.watched):
            hooks.settle()
        if asleep:
            hooks.settle_at(tensor_arguments(args, kwargs), changed=False)

    def _state_of(self, known: Known, result: Any, step: int, made: int) -> StateId | None:
        """The state of a new tensor or view that a call has given out; None, and nothing noted, where it is neither."""
        if type(result) not in PLAIN or id(result) in self._seen.refs:
            return None
        state = self._arrivals.meet_fresh(result, step, made, may_alias=False) if known.fresh else None
        if state is None and result._base is not None:
            state = self._arrivals.meet_based(result, result._base, step, made)
        return state

    def _asks_itself(self, known: Known, code: CodeType) -> bool:
        """Whether PyTorch asks for something that is of interest only where somebody else does.

        Optimizers look at every gradient; FullyShardedDataParallel frees and fills storages, and shows them to nobody.
        """
        if known.slot:
            return not self._stacks.is_user(code)
        return code.co_filename.startswith(_DISTRIBUTED)

    def run_engine(self, engine: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run the autograd engine with the mode on, so that hooks and custom backwards are seen.

        While a call is handled the mode is off for what it does inside; for a backward that is the user's own Python.
        """
        ours = self.is_here()
        if ours:
            self._hooks.resume()
        try:
            if not ours or not self._notes.running:
                return engine(*args, **kwargs)
            with self:
                return engine(*args, **kwargs)
        except BaseException as error:
            del args, kwargs
            leave(error)
            raise

    def _guarded(self, action: Callable[..., None], *args: Any) -> None:
        try:
            action(*args)
        except BaseException as fault:
            self._hooks.fault(fault)
            if not isinstance(fault, Exception):
                raise


def in_frame(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a function in a frame of ours, which has let go of its arguments where it raises."""
    try:
        return func(*args, **kwargs)
    except BaseException:
        del args, kwargs
        raise


NOTING = CallMode.__torch_function__.__code__
"""What runs while a call does that Python has noted; its `step`, or the first of `pending`, is the call's."""

if Shorthand is not None:
    CallMode.__torch_function__ = entry_of(CallMode, in_frame)  # type: ignore[method-assign]

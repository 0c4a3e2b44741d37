"""The function mode: one row of facts per call of the user's code.

NOTE [ What the mode may do ]
It passes every call on as it came, reads metadata before and after, and lets go of the tensors. Whatever goes wrong on
our side is caught, ends the recording and becomes a note; whatever goes wrong in the call is the user's and passes
through untouched.

NOTE [ The hot path ]
`__torch_function__`, `_begin` and `_end` run for every call, so they write to columns themselves, read nothing that can
be told after the recording, and ask a tensor only for what a tensor of its kind can have changed.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from struct import Struct
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from inplace.capture.columns import GIVEN, GIVEN_WIDTH, OUT, OUTS, POSITIONS, SEQ0, SEQ1, WIDTH, CallLog
from inplace.capture.functions import LAZY, facts_of, variant_of
from inplace.capture.hooks import Hooks, Known
from inplace.capture.identity import Identities
from inplace.capture.nested import Pair, nested, nested_in, tensors_in
from inplace.capture.reading import node_of, number_of
from inplace.capture.source import Stacks
from inplace.capture.stack import take_off
from inplace.capture.tensors import PLAIN
from inplace.capture.tracebacks import leave, leave_whole
from inplace.errors import OverwriteError
from inplace.model import Function, Kind, StateId

_sequence = torch._C._autograd._get_sequence_nr
_transforming = torch._C._functorch.peek_interpreter_stack
_grad_enabled = torch.is_grad_enabled
_inference = torch.is_inference_mode_enabled
# To pack a row and append its bytes takes half the time of extending an array by a tuple.
_call, _argument = Struct(f"{WIDTH}i").pack, Struct(f"{GIVEN_WIDTH}i").pack
_DETAILED = 8  # times that one line's small tensors are read with their values
_OWNED = 256  # times that a line's calls are asked which module made them

# A call's step, the tensors that went into it, whether it may have changed them, the sequence number before it, and
# whether what it gives out may be a new tensor of which not all is read.
Seen = tuple[int, "list[torch.Tensor]", bool, int, bool]


class CallMode(TorchFunctionMode):
    """Observes every torch function that the user's code calls in this thread.

    Args:
        identities: where tensors get their ids.
        stacks: where the user's stacks get theirs.
        hooks: what the recorder does around calls of other kinds than plain operations.
    """

    def __init__(self, identities: Identities, stacks: Stacks, hooks: Hooks) -> None:
        super().__init__()
        self.log = CallLog(_sequence())
        self.functions: list[Function] = []
        self.active = True
        self._identities, self._stacks, self._hooks = identities, stacks, hooks
        identities.origin = self.log.origin
        self._known: dict[Any, Known] = {}
        self._ids: dict[Function, int] = {}
        self._running: list[int] = []  # steps of the backwards that are running, outermost first
        self._thread = threading.get_ident()
        self._caller = 2  # frames from `_begin` to who called the mode

    def is_here(self) -> bool:
        """Whether the thread that calls is the recorded one: modes are per thread, hooks and patches are not."""
        return self.active and threading.get_ident() == self._thread

    def shield(self) -> None:
        """Keep our reads from the modes that are on already: they would be asked about each of them."""
        self._caller += 1
        for name in ("_begin", "_end", "_end_raised"):
            setattr(self, name, _shielded(getattr(self, name)))

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        try:
            take_off(self)
        finally:
            take_off(self)  # again, where an interrupt came meanwhile

    def __torch_function__(  # noqa: PLR0912  # a function for some of the branches would cost time in every call
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if kwargs is None:
            kwargs = {}
        seen = known = None
        try:
            if self.active:
                known = self._known.get(func) or self._learn(func)
                if not known.passed:
                    seen = self._begin(known, args, kwargs)
        except OverwriteError:
            raise
        except BaseException as fault:
            self._hooks.fault(fault)
            if not isinstance(fault, Exception):
                del args, kwargs
                leave_whole(fault)
                raise
        if seen is None or known is None:
            try:
                return func(*args, **kwargs)
            except BaseException as error:
                del args, kwargs
                leave(error)
                raise
        running = len(self._running) if known.backward else None
        try:
            if running is not None:
                self._running.append(seen[0])
            result = func(*args, **kwargs)
        except BaseException as error:
            self._guarded(self._end_raised, known, seen, error)
            # The traceback holds this frame, and must not hold the user's tensors with it.
            del args, kwargs, seen
            leave(error)
            raise
        finally:
            if running is not None:
                del self._running[running:]
        try:
            self._end(known, seen, result)
        except BaseException as fault:
            self._hooks.fault(fault)
            if not isinstance(fault, Exception):
                del args, kwargs, seen, result
                leave_whole(fault)
                raise
        return result

    def run_engine(self, engine: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run the autograd engine with the mode on, so that hooks and custom backwards are seen.

        While a call is handled the mode is off for what it does inside; for a backward that is the user's own Python.
        """
        ours = self.is_here()
        if ours:
            self._hooks.resume()
        try:
            if not ours or not self._running:
                return engine(*args, **kwargs)
            with self:
                return engine(*args, **kwargs)
        except BaseException as error:
            del args, kwargs
            leave(error)
            raise

    # ------------------------------------------------------------ one call

    def _learn(self, func: Any) -> Known:
        known = self._known[func] = Known(facts_of(func))
        if known.label in LAZY:
            known.passed = True
            self._hooks.leave_off(f"{known.label} was called, and to look at a lazy clone copies its memory.")
        return known

    def _begin(self, known: Known, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Seen | None:
        caller = sys._getframe(self._caller)
        hooks, identities, log = self._hooks, self._identities, self.log
        if known.slot and not self._stacks.is_user(caller.f_code):
            return None  # optimizers look at every gradient several times a step, and drop them all
        stack, module = self._stacks.key_of(caller)
        if identities.dead:
            identities.bury()
        calls, given = log.calls, log.given
        step = identities.step = len(calls) // WIDTH
        if not known.plain:
            hooks.before(known, args, kwargs, stack)
        elif hooks.watched or hooks.external:
            hooks.look()
        times = self._stacks.times
        count = times[stack]
        times[stack] = count + 1
        identities.detail = count < _DETAILED
        function, lean = known.id, known.fresh or known.open
        if function < 0 or known.varies:
            function = self._id(known, args, kwargs)
            lean = function == known.id and lean
        owner = -1 if module is None or count >= _OWNED else hooks.module_of(module)
        mode = 2 if _inference() else 0 if _grad_enabled() else 1
        begun = _sequence() - log.origin
        calls.frombytes(_call(function, stack, mode, owner, begun, begun, len(given), 0, 0))
        if self._running:
            log.within[step] = self._running[-1]
        tensors: list[torch.Tensor] = []
        if _transforming() is None:
            refs, number = identities.refs, 0
            for value in args:
                if type(value) in PLAIN:
                    ref = refs.get(id(value))
                    try:
                        same = ref is not None and value._version == ref.version and value.data_ptr() == ref.pointer
                    except RuntimeError:  # it has no counter, or no memory
                        same = False
                    state = ref.state if same and ref is not None else identities.see(value)
                    given.frombytes(_argument(number if number < POSITIONS else log.path(str(number)), state, state))
                    tensors.append(value)
                elif type(value) is tuple or type(value) is list:
                    self._note_nested(nested(str(number), value, 2), tensors)
                number += 1
            for name, value in kwargs.items():
                self._note_nested(nested_in(name, value), tensors)
            if identities.storages.unasked and (not lean or "out" in kwargs):
                for tensor in tensors:
                    identities.ask(tensor)
            if hooks.strict:
                hooks.check(self.functions[function], step, tensors)
            if _sequence() - log.origin != begun:  # to read the `grad_fn` of a view may make it anew
                begun = calls[step * WIDTH + SEQ0] = calls[step * WIDTH + SEQ1] = _sequence() - log.origin
        return step, tensors, not known.pure or "out" in kwargs, begun, lean and count >= _DETAILED

    def _note_nested(self, pairs: Iterator[Pair], tensors: list[torch.Tensor]) -> None:
        identities, log = self._identities, self.log
        for path, tensor in pairs:
            state = identities.see(tensor)
            log.given.frombytes(_argument(log.path(path), state, state))
            tensors.append(tensor)

    def _id(self, known: Known, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
        facts = known.facts
        if known.id < 0:
            known.id = self.function_id(facts.function)
        writes = known.varies and variant_of(facts.name, args, kwargs)
        return self.function_id(facts.writing) if writes else known.id

    def function_id(self, function: Function) -> int:
        """The number of a function, given to it now if it has none."""
        found = self._ids.get(function)
        if found is None:
            found = self._ids[function] = len(self.functions)
            self.functions.append(function)
        return found

    def _end(self, known: Known, seen: Seen, result: Any) -> None:
        step, tensors, changes, begun, lean = seen
        identities, log = self._identities, self.log
        calls, outputs, start, ended = log.calls, log.outputs, step * WIDTH, _sequence() - log.origin
        made = -1  # the node that the call has made, if it has made one
        if ended != begun:
            calls[start + SEQ1] = ended
            if not known.backward:
                if ended == begun + 1:
                    made = begun + log.origin
                elif known.fresh:
                    made = self._last_made(known, result, begun, ended, lean=lean)
                elif lean:
                    for tensor in tensors:
                        identities.ask(tensor)  # of which the inner nodes may have saved views
        if identities.dead:
            identities.bury()
        if changes:
            self._note_after(known, start, tensors, result, made)
        if result is not None and _transforming() is None:
            first = len(outputs)
            for tensor in (result,) if type(result) in PLAIN else tensors_in(result):
                if id(tensor) in identities.refs:
                    state = self._state_of(start, tensors, tensor)
                else:
                    found = identities.meet_fresh(tensor, step, made, known.open) if lean and tensors else None
                    state = identities.meet(tensor, log, step, made, own=known.own) if found is None else found
                outputs.append(state)
            calls[start + OUT], calls[start + OUTS] = first, len(outputs) - first
        if not known.plain:
            if known.kind is Kind.TO_PYTHON and type(result) in (float, int):
                log.results[step] = result
            self._hooks.after(known, tensors, result)
        elif self._hooks.watched or self._hooks.external:
            self._hooks.settle()

    def _last_made(self, known: Known, result: Any, begun: int, ended: int, *, lean: bool) -> int:
        """The number of the node that gave out the result of a call that has made several; -1 where it isn't known.

        On lines that have run many times it is the last that was made, where it was so for this function and number of
        nodes whenever it was looked at before: to look makes an object of a node, and NOTE [ Deep graphs ].
        """
        last = ended - 1 + self.log.origin
        if not lean and type(result) in PLAIN and result._base is None:
            node = node_of(result)
            known.last[ended - begun] = (
                node is not None and number_of(node) == last and known.last.get(ended - begun, True)
            )
        return last if lean and known.last.get(ended - begun) else -1

    def _note_after(self, known: Known, start: int, tensors: list[torch.Tensor], result: Any, made: int) -> None:
        """Note the states in which a call left the tensors that went into it."""
        identities, calls, given = self._identities, self.log.calls, self.log.given
        for tensor in tensors:
            if tensor is result or known.reread:
                # Under no_grad a written view keeps its outdated `grad_fn`; see NOTE [ Stale views ].
                mine = made if tensor is result and tensor._base is None else -1
                identities.read(tensor, fresh=tensor is result and calls[start + 2] == 0, made=mine)
        at = calls[start + GIVEN] + 2
        for tensor in tensors:
            given[at] = identities.see(tensor)
            at += GIVEN_WIDTH

    def _state_of(self, start: int, tensors: list[torch.Tensor], tensor: torch.Tensor) -> StateId:
        """The state of a tensor that a call gave out, and that was known before."""
        for position, given in enumerate(tensors):
            if given is tensor:
                return StateId(self.log.given[self.log.calls[start + GIVEN] + position * GIVEN_WIDTH + 2])
        return self._identities.see(tensor)

    def _end_raised(self, known: Known, seen: Seen, error: BaseException) -> None:
        step, tensors, *_ = seen
        log, survey = self.log, self._identities.survey
        log.calls[step * WIDTH + SEQ1] = _sequence() - log.origin
        at = log.calls[step * WIDTH + GIVEN] + 2
        for tensor in tensors:
            log.given[at] = survey(tensor)
            at += GIVEN_WIDTH
        log.raised[step] = (type(error).__name__, str(error).partition("\n")[0][:500])
        self._hooks.raised(known, tensors, step)

    def _guarded(self, action: Callable[..., None], *args: Any) -> None:
        try:
            action(*args)
        except BaseException as fault:
            self._hooks.fault(fault)
            if not isinstance(fault, Exception):
                raise


def _shielded(action: Callable[..., Any]) -> Callable[..., Any]:
    def shielded(*args: Any) -> Any:
        with torch._C.DisableTorchFunction():
            return action(*args)

    return shielded

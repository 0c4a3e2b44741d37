"""What is noted of one call: a row of facts, and the states of the tensors that went in and came out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from struct import Struct
from types import FrameType
from typing import Any

import torch

from inplace.capture.bytes.samples import FIRST
from inplace.capture.calls.arguments import nested_in, tensors_in
from inplace.capture.calls.functions import LAZY, facts_of, variant_of
from inplace.capture.calls.known import Known
from inplace.capture.calls.listener import Listener
from inplace.capture.code.objects import message_of, name_of_class
from inplace.capture.code.stacks import Stacks
from inplace.capture.tables.arrivals import Arrivals
from inplace.capture.tables.call_log import GIVEN, GIVEN_WIDTH, OUT, OUTS, POSITIONS, SEQ0, SEQ1, STACK, WIDTH, CallLog
from inplace.capture.tables.numbers import Numbers
from inplace.capture.tables.tensor_facts import node_of, number_of
from inplace.capture.tables.tensors import PLAIN, know_distributed
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.facts.model import Function, Kind, StateId

sequence = torch._C._autograd._get_sequence_nr
transforming = torch._C._functorch.peek_interpreter_stack
grad_enabled = torch.is_grad_enabled
inference = torch.is_inference_mode_enabled
# To pack a row and append its bytes takes half the time of extending an array by a tuple.
call_row, argument_row = Struct(f"{WIDTH}i").pack, Struct(f"{GIVEN_WIDTH}i").pack
# Arguments of these types hold no tensors.
SIMPLE = frozenset({bool, int, float, complex, str, type(None), torch.dtype, torch.device, torch.memory_format})
_INDICES = {int, slice, type(None), type(...)}  # what sizes and indices hold that are no tensors
_LOOKS = 4  # results of a function that are asked for their node, where its calls make several
DETAILED = 8  # times that one line's small tensors are read with their values
OWNED = 256  # times that a line's calls are asked which module made them

# A call's step, the tensors that went into it, whether it may have changed them, and the sequence number before it.
Pending = tuple[int, "list[torch.Tensor]", bool, int]


def tensor_arguments(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
    """The arguments that are tensors, and those in lists of tensors, of a call that is noted in short."""
    found: list[torch.Tensor] = []
    for value in (*args, *kwargs.values()):
        kind = type(value)
        if kind in PLAIN:
            found.append(value)
        elif (kind is list or kind is tuple) and value and type(value[0]) in PLAIN:
            found += value
    return found


class CallNotes:
    """Notes calls before and after they run.

    Args:
        seen: where tensors get their ids.
        arrivals: where those that calls give out get theirs.
        stacks: where the user's stacks get theirs.
        hooks: what the recorder does around calls of other kinds than plain operations.

    Attributes:
        log: the rows of the calls.
        functions: what the numbers of functions stand for.
        known: what is known of each function that was called.
        running: steps of the backwards that are running, outermost first.
        detailed: times that one line's small tensors are read with their values.
        most: the step from which on the recorder is told after each call that there are many.
    """

    def __init__(self, seen: TensorsSeen, arrivals: Arrivals, stacks: Stacks, hooks: Listener) -> None:
        self.log = CallLog(sequence())
        self._numbers: Numbers[Function] = Numbers()
        self.functions = self._numbers.values
        self._seen, self._arrivals, self._stacks, self._hooks = seen, arrivals, stacks, hooks
        seen.origin = self.log.origin
        self.known: dict[Any, Known] = {}
        self.running: list[int] = []
        self.most = sys.maxsize
        self.detailed = DETAILED

    def shield(self) -> None:
        """Keep our reads from the modes that are on already: they would be asked about each of them."""
        for name in ("begin", "end", "end_raised"):
            setattr(self, name, _shielded(getattr(self, name)))

    def learn(self, func: Any) -> Known:
        """What is known of a function that is called for the first time."""
        know_distributed()
        known = self.known[func] = Known(facts_of(func))
        if known.label in LAZY:
            known.passed = True
            self._hooks.leave_off(f"{known.label} was called, and to look at a lazy clone copies its memory.")
        return known

    def begin(
        self,
        known: Known,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        stack: int,
        module: FrameType | None,
        noted: bytes | None,
    ) -> Pending:
        """Note a call that is about to run; `noted` are the rows of its arguments, where they were asked for."""
        hooks, seen, log = self._hooks, self._seen, self.log
        if seen.dead:
            seen.bury()
        calls, given = log.calls, log.given
        step = seen.step = len(calls) // WIDTH
        if not known.plain:
            hooks.before(known, args, kwargs, stack)
        elif hooks.watched or hooks.external:
            hooks.look()
        times = self._stacks.times
        count = times[stack]
        times[stack] = count + 1
        seen.detail = count < self.detailed
        function = self._id(known, args, kwargs) if known.id < 0 or known.varies else known.id
        owner = -1 if module is None or count >= OWNED else hooks.module_of(module)
        mode = 2 if inference() else 0 if grad_enabled() else 1
        begun = sequence() - log.origin
        calls.frombytes(call_row(function, stack, mode, owner, begun, begun, len(given), 0, 0))
        if self.running:
            log.within[step] = self.running[-1]
        tensors: list[torch.Tensor] = []
        if transforming() is None:
            rows = self.unchanged(args, kwargs) if noted is None else noted
            if rows:
                given.frombytes(rows)
                tensors += tensor_arguments(args, kwargs)
            else:
                self._note_given(args, kwargs, tensors)
            if (known.aliases or "out" in kwargs) and seen.storages.unasked:
                for tensor in tensors[:1] if known.aliases == 1 else tensors:
                    seen.ask(tensor)
            if hooks.asleep:
                hooks.look_at(tensors)
            if hooks.strict:
                hooks.check(self.functions[function], step, tensors)
            if sequence() - log.origin != begun:  # to read the `grad_fn` of a view may make it anew
                begun = calls[step * WIDTH + SEQ0] = calls[step * WIDTH + SEQ1] = sequence() - log.origin
        return step, tensors, not known.pure or "out" in kwargs, begun

    def _note_given(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], tensors: list[torch.Tensor]) -> None:
        """Note the tensors among the arguments, and add them to `tensors`."""
        seen, log = self._seen, self.log
        for name, value in (*enumerate(args), *kwargs.items()):
            if type(value) not in SIMPLE:
                for path, tensor in nested_in(str(name), value):
                    state = seen.see(tensor)
                    log.given.frombytes(argument_row(log.path(path), state, state))
                    tensors.append(tensor)

    def unchanged(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """The rows of the arguments if each tensor is in the state that was noted last; none if one is not, or new."""
        refs, rows = self._seen.refs, b""
        if len(args) > POSITIONS or "out" in kwargs:
            return b""
        try:
            given: Iterable[tuple[int | str, Any]] = enumerate(args)
            for place, value in chain(given, kwargs.items()) if kwargs else given:
                kind = type(value)
                if kind in PLAIN:
                    ref = refs.get(id(value))
                    if ref is None or value._version != ref.version or value.data_ptr() != ref.pointer:
                        return b""
                    path = place if isinstance(place, int) else self.log.path(place)
                    rows += argument_row(path, ref.state, ref.state)
                elif (kind is tuple or kind is list) and not (value and _INDICES.issuperset(map(type, value))):
                    return b""
        except RuntimeError:  # it has no counter, or no memory
            return b""
        return rows

    def takes_asleep(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        """Whether an argument is over a storage that is compared around the calls that take it."""
        refs, asleep = self._seen.refs, self._hooks.asleep
        for value in (*args, *kwargs.values()) if kwargs else args:
            ref = refs.get(id(value)) if type(value) in PLAIN else None
            if ref is not None and ref.live is not None and ref.live.id in asleep:
                return True
        return False

    def _id(self, known: Known, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
        facts = known.facts
        if known.id < 0:
            known.id = self.function_id(facts.function)
        if not known.varies or not variant_of(facts.name, args, kwargs):
            return known.id
        if known.writing < 0:
            known.writing = self.function_id(facts.writing)
        return known.writing

    def function_id(self, function: Function) -> int:
        """The number of a function, given to it now if it has none."""
        return self._numbers.of(function)

    def end(self, known: Known, pending: Pending, result: Any) -> None:
        """Note a call that has returned."""
        step, tensors, changes, begun = pending
        seen, log = self._seen, self.log
        calls, start, ended = log.calls, step * WIDTH, sequence() - log.origin
        made = -1  # the node that the call has made, if it has made one
        if ended != begun:
            calls[start + SEQ1] = ended
            if ended == begun + 1 and not known.backward:
                made = begun + log.origin
            elif known.fresh:
                made = self.last_made(known, result, begun, ended)
        if seen.dead:
            seen.bury()
        self.note_outcome(known, step, tensors, result, made, ended - begun, changes=changes)
        samples = self._hooks.samples if ended != begun else None
        if samples is not None and (samples.is_on or self._stacks.times[calls[start + STACK]] <= FIRST):
            samples.take(known, step, tensors, result, ended - begun)
        if not known.plain:
            if known.kind is Kind.TO_PYTHON and type(result) in (float, int):
                log.results[step] = result
            if known.collective:
                self._hooks.wrote(tensors)
            self._hooks.after(known, tensors, result)
        elif self._hooks.external or (changes and self._hooks.watched):
            self._hooks.settle()
        if self._hooks.asleep:
            self._hooks.settle_at(tensors, changed=changes)

    def note_outcome(
        self, known: Known, step: int, tensors: list[torch.Tensor], result: Any, made: int, nodes: int, *, changes: bool
    ) -> None:
        """Note what a call has done to its arguments, if it may have changed them, and what it has given out."""
        if known.open and nodes > 1:
            for tensor in tensors:
                self._seen.ask(tensor)  # of which the inner nodes may have saved views
        if changes:
            self._note_after(known, step * WIDTH, tensors, result, made)
        if result is not None and transforming() is None:
            self._note_results(known, step, tensors, result, made)
        else:
            self.log.calls[step * WIDTH + OUTS] = 0

    def _note_results(self, known: Known, step: int, tensors: list[torch.Tensor], result: Any, made: int) -> None:
        """Note the tensors that a call has given out."""
        seen, outputs, calls, start = self._seen, self.log.outputs, self.log.calls, step * WIDTH
        first = len(outputs)
        for tensor in (result,) if type(result) in PLAIN else tensors_in(result):
            if id(tensor) in seen.refs:
                state = self._state_of(start, tensors, tensor)
            else:
                short = known.short and tensors
                found = self._arrivals.meet_fresh(tensor, step, made, may_alias=known.open) if short else None
                state = self._arrivals.meet(tensor, self.log, step, made, own=known.own) if found is None else found
            outputs.append(state)
        calls[start + OUT], calls[start + OUTS] = first, len(outputs) - first

    def last_made(self, known: Known, result: Any, begun: int, ended: int) -> int:
        """The number of the node that gave out the result of a call that has made several; -1 where it isn't known.

        It is the last that was made where it was so each time that this function made so many and we looked: to look
        makes an object of a node, and NOTE [ Deep graphs ].
        """
        nodes, last = ended - begun, ended - 1 + self.log.origin
        agreed = known.last.get(nodes, 0)
        if 0 <= agreed < _LOOKS and type(result) in PLAIN:
            node = node_of(result)
            agreed = known.last[nodes] = agreed + 1 if node is not None and number_of(node) == last else -1
        return last if agreed == _LOOKS else -1

    def _note_after(self, known: Known, start: int, tensors: list[torch.Tensor], result: Any, made: int) -> None:
        """Note the states in which a call left the tensors that went into it."""
        seen, calls, given = self._seen, self.log.calls, self.log.given
        for tensor in tensors:
            if tensor is result or known.reread:
                # Under no_grad a written view keeps its outdated `grad_fn`; see NOTE [ Stale views ].
                mine = made if tensor is result and tensor._base is None else -1
                seen.written(tensor, fresh=tensor is result and calls[start + 2] == 0, made=mine)
        at = calls[start + GIVEN] + 2
        for tensor in tensors:
            given[at] = seen.see(tensor)
            if seen.counters.split and given[at] != given[at - 1]:
                self._note_unseen(tensor)
            at += GIVEN_WIDTH

    def _note_unseen(self, tensor: torch.Tensor) -> None:
        """A call has written a tensor: tell whether others over its bytes don't show it."""
        ref = self._seen.ref_of(tensor)
        if ref is not None and ref.live is not None and ref.live.split:
            self._hooks.written_unseen(ref.live.id)

    def _state_of(self, start: int, tensors: list[torch.Tensor], tensor: torch.Tensor) -> StateId:
        """The state of a tensor that a call gave out, and that was known before."""
        for position, given in enumerate(tensors):
            if given is tensor:
                return StateId(self.log.given[self.log.calls[start + GIVEN] + position * GIVEN_WIDTH + 2])
        return self._seen.see(tensor)

    def note_written(self, function: Function, stack: int, changed: list[tuple[str, torch.Tensor]]) -> None:
        """Note that some tensors were written, each by its path, where no call arrives at the mode."""
        seen, log, times = self._seen, self.log, self._stacks.times
        if seen.dead:
            seen.bury()
        seen.step, seen.detail = len(log), times[stack] < self.detailed
        times[stack] += 1
        begun = sequence() - log.origin
        rows, known = b"", len(log.given)
        for path, one in changed:
            ref = seen.ref_of(one)
            state = seen.see(one) if ref is None else ref.state
            rows += argument_row(log.path(path), state, seen.read(one, fresh=one._base is None))
        log.calls.extend((self.function_id(function), stack, 1, -1, begun, begun, known, 0, 0))
        log.given.frombytes(rows)

    def leave(self, step: int) -> None:
        """Note that the process ends while a call runs."""
        if 0 <= step < len(self.log):
            self.log.calls[step * WIDTH + SEQ1], self.log.calls[step * WIDTH + OUTS] = sequence() - self.log.origin, 0
            self.log.raised[step] = ("SIGTERM", "it came before the call had ended")

    def end_raised(self, known: Known, pending: Pending, error: BaseException) -> None:
        """Note a call that has raised."""
        step, tensors, *_ = pending
        log, survey = self.log, self._seen.survey
        log.calls[step * WIDTH + SEQ1], log.calls[step * WIDTH + OUTS] = sequence() - log.origin, 0
        at = log.calls[step * WIDTH + GIVEN] + 2
        for tensor in tensors:
            log.given[at] = survey(tensor)
            at += GIVEN_WIDTH
        log.raised[step] = (
            name_of_class(type(error)),
            message_of(error, self._stacks.is_user).partition("\n")[0][:500],
        )
        self._hooks.raised(known, tensors, step)


def _shielded(action: Callable[..., Any]) -> Callable[..., Any]:
    def shielded(*args: Any) -> Any:
        with torch._C.DisableTorchFunction():
            return action(*args)

    return shielded

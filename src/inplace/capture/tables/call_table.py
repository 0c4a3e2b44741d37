"""The calls of a trace, built from the rows of the log when asked for."""

from __future__ import annotations

from array import array
from functools import cached_property
from typing import Any

from inplace.capture.tables.call_log import FUNCTION, GIVEN, GIVEN_WIDTH, OUT, OUTS, SEQ0, SEQ1, STACK, WIDTH, CallLog
from inplace.facts.model import Argument, Call, Function, GradMode, Raised, Stack
from inplace.facts.rows import CallColumns, Rows

# Given integers that are ids: to call `StateId` on each would take as long as the rest.
_argument: Any = Argument
_call: Any = Call
_GRAD_MODES = (GradMode.GRAD, GradMode.NO_GRAD, GradMode.INFERENCE)


class CallRows(Rows[Call]):
    """The calls of a trace.

    Args:
        log: what was noted of them, with states numbered as in the trace.
        functions: what the numbers of functions stand for.
        stacks: what the numbers of stacks stand for.
        allocated: bytes of the storages that each call gave out first.
    """

    def __init__(self, log: CallLog, functions: list[Function], stacks: list[Stack], allocated: array[int]) -> None:
        super().__init__(len(log))
        self._log, self._functions, self._stacks, self._allocated = log, functions, stacks, allocated

    @cached_property
    def columns(self) -> CallColumns:
        """What all calls are asked for; see `call_columns`."""
        log = self._log
        return CallColumns(
            functions=self._functions,
            function=log.calls[FUNCTION::WIDTH],
            stacks=self._stacks,
            stack=log.calls[STACK::WIDTH],
            begins=array("i", [start // GIVEN_WIDTH for start in (*log.calls[GIVEN::WIDTH], len(log.given))]),
            paths=log.paths,
            path=log.given[0::GIVEN_WIDTH],
            before=log.given[1::GIVEN_WIDTH],
            after=log.given[2::GIVEN_WIDTH],
            first_output=log.calls[OUT::WIDTH],
            output_count=log.calls[OUTS::WIDTH],
            outputs=log.outputs,
            nodes_start=log.sequence(SEQ0),
            nodes_stop=log.sequence(SEQ1),
            raised={step: Raised(*error) for step, error in log.raised.items()},
        )

    def _build(self, place: int) -> Call:
        log = self._log
        calls, given, paths, begin = log.calls, log.given, log.paths, place * WIDTH
        function, stack, mode, module, seq0, seq1, first, out, outs = calls[begin : begin + WIDTH]
        following = begin + WIDTH + GIVEN
        last = calls[following] if following < len(calls) else len(given)  # where the arguments of the next call begin
        error = log.raised.get(place)
        return _call(  # type: ignore[no-any-return]
            place,
            self._functions[function],
            self._stacks[stack],
            tuple(
                [_argument(paths[given[at]], given[at + 1], given[at + 2]) for at in range(first, last, GIVEN_WIDTH)]
            ),
            tuple(log.outputs[out : out + outs]),
            _GRAD_MODES[mode],
            range(seq0 + log.origin, seq1 + log.origin),
            None if module < 0 else module,
            Raised(*error) if error is not None else None,
            self._allocated[place],
            0,
            log.results.get(place),
            log.within.get(place),
        )

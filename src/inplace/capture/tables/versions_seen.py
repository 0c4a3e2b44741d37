"""Which version a counter was last seen at before a call, looked up once for all the counters that are asked for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from itertools import pairwise

from inplace.capture.tables.call_log import FUNCTION, GIVEN, GIVEN_WIDTH, OUT, OUTS, WIDTH, CallLog
from inplace.facts.model import TensorState
from inplace.facts.rows import column


class VersionsSeen:
    """The versions at which the calls of a recording that has ended left some counters.

    Args:
        log: the calls, with states numbered as in the trace.
        states: the states of the trace.
        asked: the numbers of the functions whose arguments' counters are asked for.
    """

    def __init__(self, log: CallLog, states: Sequence[TensorState], asked: Collection[int]) -> None:
        self._states = states
        counters, begins = column(states, "counter"), [*log.calls[GIVEN::WIDTH], len(log.given)]
        self._seen: dict[int, tuple[list[int], list[int]]] = {}  # steps and states, by counter
        for function, (begin, end) in zip(log.calls[FUNCTION::WIDTH], pairwise(begins), strict=True):
            if function in asked:
                for given in (log.given[begin + 1 : end : GIVEN_WIDTH], log.given[begin + 2 : end : GIVEN_WIDTH]):
                    self._seen.update({counters[state]: ([], []) for state in given})
        outputs = zip(log.calls[OUT::WIDTH], log.calls[OUTS::WIDTH], strict=True)
        for step, ((begin, end), (first, count)) in enumerate(zip(pairwise(begins), outputs, strict=True)):
            for state in (*log.given[begin + 2 : end : GIVEN_WIDTH], *log.outputs[first : first + count]):
                found = self._seen.get(counters[state])
                if found is not None and (not found[0] or found[0][-1] != step):
                    found[0].append(step)
                    found[1].append(state)

    def before(self, state: TensorState, step: int) -> int | None:
        """The last version that was seen of a state's counter before a step; the state's own where there is none."""
        if state.counter is None or state.counter not in self._seen:
            return state.version
        steps, states = self._seen[state.counter]
        place = bisect_left(steps, step) - 1
        return self._states[states[place]].version if place >= 0 else state.version

"""Where what happened last begins, which is kept as it was when a window of a long recording ends.

NOTE [ The border of a window ]
What happens to gradients is judged by turns, from one step of an optimizer to the next, and what a statement does by
the calls around it. A window may end within both. So the last calls are kept whole, with what died meanwhile: those of
the turns of each optimizer that are not over and of the two before them, and those of the window itself where that is
short. Beyond a bound they are the last so many.
"""

from __future__ import annotations

from inplace.facts.model import Act, Trace

MOST = 1_000
"""Calls that are kept whole, at most."""

_TURNS = 3  # steps of each optimizer behind which its last turns begin


def recent(trace: Trace) -> int:
    """The step from which on everything is kept; the number of calls made by then where nothing is."""
    begin = min(trace.fresh, _last_turns(trace))
    return max(begin, len(trace.calls) - MOST, 0)


def whole_from(trace: Trace) -> int:
    """The step from which on nothing was let go of in the run that a trace is of."""
    runs = trace.runs
    if len(runs) < 2 or not runs[-1].continues:  # noqa: PLR2004  # the last one and another
        return trace.fresh
    return max(runs[-2].begin, trace.fresh - MOST)


def _last_turns(trace: Trace) -> int:
    left: dict[tuple[int, ...], int] = {}
    begin = len(trace.calls)
    for act in reversed(trace.acts):
        if act.step < len(trace.calls) - MOST:
            break
        if act.act is Act.STEPPED and left.setdefault(act.numbers, _TURNS) > 0:
            left[act.numbers] -= 1
            begin = act.step
    return begin

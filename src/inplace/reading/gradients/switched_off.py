"""What switched gradient mode off: the block around a call, or a line that has left it off.

NOTE [ Left off ]
A mode that is entered by hand (`guard.__enter__()`, `enter_context`, `set_grad_enabled(False)`), or by a generator that
waits within its block, stays until somebody leaves it, over functions and cells. That is told of the last line that
switched it off, where no call since has run with gradients, and the call is in no block of that line; and of none that
ran within a backward or a custom function, where PyTorch itself has switched it off.
"""

from __future__ import annotations

import ast
from bisect import bisect_right

from inplace.facts.model import Act, Call, GradientAct, GradMode, Kind
from inplace.facts.source_code import node_position
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

_BLOCKS = (ast.With, ast.AsyncWith)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class SwitchedOff:
    """What switched gradient mode off, by when."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._acts = [act for act in index.trace.acts if act.act is Act.SWITCHED_OFF]
        self._steps = [act.step for act in self._acts]

    def _last(self, call: Call) -> GradientAct | None:
        at = bisect_right(self._steps, call.step)
        act = self._acts[at - 1] if at else None
        return act if act is not None and act.stack.frames else None

    def before(self, call: Call) -> GradientAct | None:
        """What had switched it off when a call was made; None where that is not known, as in a custom function."""
        act = self._last(call)
        if act is None:
            return None
        if (act.stack.frames[0].entry or "").startswith("set_grad_enabled"):
            return act  # to the end, or until somebody switches it on
        outer, frames = act.stack.frames[1:], call.stack.frames
        sites = [frame.site for frame in frames[len(frames) - len(outer) :]]
        return act if len(frames) > len(outer) and sites == [frame.site for frame in outer] else None

    def left_off(self, call: Call) -> Place | None:
        """The line that had switched it off for good when a call was made, if there is one."""
        act, places = self._last(call), self._index.places
        if act is None or call.within is not None or places.apply_frame(call) is not None:
            return None
        switch = places.at(act.stack.frames[0], None)
        source = places.code(switch).source_code
        around = source.statements_around(switch.position)
        if any("decorate" in (frame.entry or "") for frame in act.stack.frames):
            return None
        blocks = [one for one in around if isinstance(one, _BLOCKS)]
        if blocks and around[-1] is blocks[-1]:
            if not _waits_in(around, blocks[-1]):
                return None
            switch = places.beside(switch, node_position(blocks[-1].items[-1].context_expr))
        inside = [places.at(frame, None) for frame in call.stack.frames]
        inside = [one for one in inside if places.are_in_one_source(one, switch)]
        if any(node_position(block).holds(one.position) for block in blocks for one in inside):
            return None
        return None if self._ran_with_gradients(act.step, call.step) else switch

    def waits(self, call: Call) -> bool:
        """Whether that line is the head of a block, in which a generator waits."""
        left, places = self.left_off(call), self._index.places
        return left is not None and isinstance(places.code(left).statement(left.position), _BLOCKS)

    def _ran_with_gradients(self, begin: int, end: int) -> bool:
        calls = (self._index.trace.calls[step] for step in range(begin, end))
        return any(one.grad_mode is GradMode.GRAD and one.function.kind is Kind.OP for one in calls)


def _waits_in(around: list[ast.stmt], block: ast.stmt) -> bool:
    """Whether a block is one of a generator, which may wait within it."""
    if not any(isinstance(one, _FUNCTIONS) for one in around):
        return False
    left: list[ast.AST] = [block]
    while left:
        node = left.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        left += [one for one in ast.iter_child_nodes(node) if not isinstance(one, _FUNCTIONS)]
    return False

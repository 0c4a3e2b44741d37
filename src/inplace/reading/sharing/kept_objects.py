"""Tensors that the source kept by reference, without a call: compared with themselves, or collected again and again."""

from __future__ import annotations

import ast
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from inplace.facts.model import Call, Position, Stack, TensorId, TensorState
from inplace.facts.source_code import node_position
from inplace.reading.sharing.kept_bytes import COMPARING
from inplace.reading.sharing.repeated import is_first, items_repeated
from inplace.reading.trace.index import Index
from inplace.reading.trace.origins import GIVING, Origin, Origins, Spot
from inplace.reading.trace.place import Place
from inplace.reading.trace.runs import Runs
from inplace.reading.trace.spelled import is_path

_TRIED = 16  # calls of one line that are looked at
_PASSES = 64  # times that one line of a loop meets the same bytes again
_EQUAL = frozenset({"eq", "ne", "equal", "allclose", "isclose"})


@dataclass(frozen=True, slots=True)
class KeptObject:
    """A tensor that a line kept, another wrote, and a third read by what kept it, spelled as `shown`.

    `is_alone` is whether a copy of what that line kept would mend it: it is the tensor itself, and no other line did.
    """

    keep: Place
    write: Call
    reader: Place
    state: TensorState
    shown: str
    is_alone: bool = True


class KeptObjects:
    """What the source says of the tensors of one trace that lines have kept."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.origins = Origins(index.places)
        self.runs = Runs(index.history, index.places)

    # ------------------------------------------------------------ compared with itself

    def compared(self) -> Iterator[KeptObject]:
        """Yield the calls that compare a tensor with itself, where a spelling leads to the line that kept it."""
        index = self._index
        columns, tensors = index.history.columns, index.history.tensors_by_state
        tried: dict[object, int] = {}
        for step in columns.steps_of(lambda function: function.label in COMPARING):
            first = columns.begins[step]
            given = columns.before[first : columns.begins[step + 1]]
            half = max(len(given) // 2, 1)
            if half >= len(given) or tensors[given[0]] != tensors[given[half]]:
                continue
            key = columns.stack[step], columns.function[step]
            tried[key] = tried.get(key, 0) + 1
            if tried[key] > _TRIED:
                continue
            call = index.trace.calls[step]
            found = self._compared_by(call, index.trace.states[given[0]])
            if found is not None:
                tried[key] = _TRIED
                yield found

    def _compared_by(self, call: Call, state: TensorState) -> KeptObject | None:
        nodes, spot = self._operands(call), self.spot(call)
        if nodes is None or spot is None or ast.unparse(nodes[0]) == ast.unparse(nodes[1]):
            return None
        origins = [self.origins.of(node, spot) for node in nodes]
        both = {one.statement for one in origins[0]} & {one.statement for one in origins[1]}
        found = []
        for node, leading in zip(nodes, origins, strict=True):
            for origin in leading:
                if _ties(origin) and call.function.label in _EQUAL:
                    continue  # that a weight is tied may well be asked
                collected = origin.statement in both  # `x - y` of two items of one list may be of one and the same
                one = self._found(origin, call, state, ast.unparse(node), collected=collected)
                found += [] if one is None else [one]
        alone = all(len([one for one in leading if not one.put]) < 2 for leading in origins)  # noqa: PLR2004  # a second
        return replace(found[0], is_alone=found[0].is_alone and alone) if found else None

    def _operands(self, call: Call) -> tuple[ast.expr, ast.expr] | None:
        """The expressions of the two things that a call compares, on the user's own line."""
        spelled = list(self._index.spelled.of(call).values())
        if not spelled and call.stack.frames:
            node = self._index.places.node_at(call.stack.frames[0])
            spelled = list(node.args) if isinstance(node, ast.Call) else []
        return (spelled[0], spelled[1]) if len(spelled) > 1 else None

    # ------------------------------------------------------------ collected

    def joined(self, call: Call, path: str, states: list[TensorState]) -> tuple[bool, KeptObject | None]:
        """Where items were put into what one call joins, of which several are the same bytes; first if it is known who.

        It is also known of a list that the call itself is given as it is written out, and may repeat what it likes.
        """
        spot, node = self.spot(call), self._index.spelled.of(call).get(path)
        if spot is None or node is None:
            return False, None
        origins = self.origins.of_items(node, spot)
        born = min(self._born(state.tensor) for state in states)
        for origin in origins:
            found = self._found(origin, call, states[0], ast.unparse(node), collected=True, born=born)
            if found is not None:
                return True, found
        return bool(origins) or not is_path(node), None

    def read_in_turn(self) -> Iterator[KeptObject]:
        """Yield the loops that find one tensor in several items of a container, which was written between them."""
        index = self._index
        columns = index.history.columns
        lines = {number: loop for number in self._looping() if (loop := self._loop_of(number)) is not None}
        met: dict[tuple[int, object], int] = {}
        tried: dict[int, int] = {}
        for step, stack in enumerate(columns.stack) if lines else ():
            if stack not in lines or columns.begins[step] == columns.begins[step + 1] or tried.get(stack, 0) >= _PASSES:
                continue
            state = index.trace.states[columns.before[columns.begins[step]]]
            key = stack, (columns.function[step], state.storage, state.offset, state.layout)
            before, met[key] = met.get(key), step
            if before is None or not state.layout.numel:
                continue
            span, node = lines[stack]
            tried[stack] = tried.get(stack, 0) + 1
            if self._writes(state, before, step) or not self._is_one_pass(span, stack, before, step):
                continue
            one = index.trace.states[columns.before[columns.begins[before]]]
            found = self._by_turns(index.trace.calls[step], [one, state], node)
            if found is not None:
                tried[stack] = _PASSES
                yield found

    def _writes(self, state: TensorState, begin: int, end: int) -> bool:
        """Whether a tensor's storage is written between two steps."""
        writes = self._index.history.writes_of(state)
        place = bisect_right(writes, begin, key=lambda write: write.call.step)
        return place < len(writes) and writes[place].call.step < end

    def _looping(self) -> Iterator[int]:
        for number, stack in enumerate(self._index.history.columns.stacks):
            if stack.frames and (stack.frames[0].entry or "Tensor.").startswith("Tensor."):
                yield number

    def _loop_of(self, stack: int) -> tuple[Position, ast.expr] | None:
        """The loop whose variable an expression reads, and that expression; None for any other."""
        frame = self._index.history.columns.stacks[stack].frames[0]
        site, node = self._index.places.site(frame), self._index.places.node_at(frame)
        parts: list[ast.expr] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            parts = [node.func.value, *node.args[:1]]
        elif isinstance(node, ast.BinOp):
            parts = [node.left, node.right]
        table = self.origins.bindings(site.source)
        for part in parts:
            root: ast.expr = part
            while isinstance(root, ast.Attribute | ast.Subscript):
                root = root.value
            loop = table.loop_of(root.id, site.position) if isinstance(root, ast.Name) else None
            if loop is not None:
                return loop, part
        return None

    def _is_one_pass(self, loop: Position, stack: int, begin: int, end: int) -> bool:
        """Whether a loop was not left between two calls from one place in it."""
        columns = self._index.history.columns
        outer = columns.stacks[stack].frames[1:]
        source = self._index.places.site(columns.stacks[stack].frames[0]).source
        for step in range(begin + 1, end):
            frames = columns.stacks[columns.stack[step]].frames
            here = frames[: len(frames) - len(outer)] if outer else frames
            at = self._index.places.site(here[-1]) if here and (not outer or frames[-len(outer) :] == outer) else None
            if at is None or at.source != source or not loop.holds(at.position):
                return False
        return True

    def _by_turns(self, call: Call, states: list[TensorState], node: ast.expr) -> KeptObject | None:
        spot, born = self.spot(call), min(self._born(state.tensor) for state in states)
        for origin in self.origins.of(node, spot) if spot is not None else ():
            text = ast.unparse(node)
            found = self._found(origin, call, states[1], text, collected=True, born=born) if origin.put else None
            if found is not None:
                return found
        return None

    # ------------------------------------------------------------ parts

    def _found(
        self,
        origin: Origin,
        read: Call,
        state: TensorState,
        shown: str,
        *,
        collected: bool = False,
        born: int | None = None,
    ) -> KeptObject | None:
        """What an origin kept, if it was written since and before it was read; `collected` if that came to it twice.

        Then it was written between the first and the last run of the origin, unless each run puts it there repeatedly.
        """
        begin = self._born(state.tensor) if born is None else born
        runs = [step for step in self.runs.of(origin.source, origin.statement) if begin <= step < read.step]
        once = not collected or repeats(origin.statement)
        if not runs:
            return None
        if not once and len(runs) == 1:
            return self._within(origin, read, state, shown)
        if not once and not self.runs.are_sure(origin.source, origin.statement):
            pairs = pairwise(runs[:_TRIED])
            if not all(self.write_between(origin, state, one, two + 1) for one, two in pairs):
                return None
        first = runs[-1] if not collected and not origin.put and not self.is_conditional(origin) else runs[0]
        write = self.write_between(origin, state, first, read.step if once else runs[-1] + 1)
        reader = self._index.places.of(read)
        if write is None or reader is None:
            return None
        return KeptObject(self.place(origin), write, reader, state, shown, _is_copied(origin))

    def _within(self, origin: Origin, read: Call, state: TensorState, shown: str) -> KeptObject | None:
        """What a comprehension kept again and again, each time behind a write of its line: `[step() for _ in x]`."""
        span, times = node_position(origin.statement), set[Stack]()
        reader = self._index.places.of(read) if _comprehends(origin) else None
        for write in self._index.history.writes_of(state):
            stack = write.call.stack
            sites = [self._index.places.site(frame) for frame in stack.frames]
            inside = any(site.source == origin.source and span.holds(site.position) for site in sites)
            if inside and write.call.step < read.step and self._index.overlaps.of(write.after, state):
                if stack in times and reader is not None:
                    return KeptObject(self.place(origin), write.call, reader, state, shown, _is_copied(origin))
                times.add(stack)
        return None

    def _born(self, tensor: TensorId) -> int:
        """The step that made a tensor; one before all for what no call made."""
        origin = self._index.trace.tensors[tensor].origin
        return -1 if origin is None else origin

    def write_between(self, origin: Origin, state: TensorState, begin: int, end: int) -> Call | None:
        """The first call behind a step, and before another, that wrote what was kept."""
        writes = self._index.history.writes_of(state)
        place = bisect_right(writes, begin, key=lambda write: write.call.step)
        for write in writes[place : bisect_left(writes, end, key=lambda write: write.call.step)]:
            if not is_first(write) and self._index.overlaps.of(write.after, state):
                return write.call
        if ".state[" in ast.unparse(origin.value) and self._index.trace.tensors[state.tensor].type == "Tensor":
            return self._step_between(begin, end)
        return None

    def _step_between(self, begin: int, end: int) -> Call | None:
        """The first step of an optimizer between two calls, which writes the state that it keeps."""
        place = bisect_right(self._steps, begin)
        step = self._steps[place] if place < len(self._steps) else end
        return self._index.trace.calls[step] if step < end else None

    @cached_property
    def _steps(self) -> list[int]:
        return self._index.history.columns.steps_of(lambda function: function.label.endswith(".step"))

    def is_conditional(self, origin: Origin) -> bool:
        """Whether an origin stands under a condition."""
        code = self._index.places.codes[origin.source].source_code
        return any(isinstance(one, ast.If | ast.Try) for one in code.statements_around(node_position(origin.statement)))

    def place(self, origin: Origin) -> Place:
        """The line of an origin."""
        return self._index.places.in_source(origin.source, node_position(origin.statement))

    def spot(self, call: Call) -> Spot | None:
        """Where the expressions of a call stand."""
        if not call.stack.frames:
            return None
        site = self._index.places.site(call.stack.frames[0])
        return Spot(site.source, site.position, call.stack.frames)


def _ties(origin: Origin) -> bool:
    """Whether a statement gives an object an attribute of another by the same name: `self.out.weight = emb.weight`."""
    statement, value = origin.statement, origin.value
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    return isinstance(target, ast.Attribute) and isinstance(value, ast.Attribute) and target.attr == value.attr


def repeats(statement: ast.stmt) -> bool:
    """Whether a statement puts one thing into a container several times: `[t] * n`, `dict.fromkeys(names, t)`."""
    return any(isinstance(node, ast.expr) and items_repeated(node) for node in ast.walk(statement))


def _comprehends(origin: Origin) -> bool:
    """Whether an origin keeps the items of a comprehension."""
    kinds = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    return any(isinstance(node, kinds) for node in ast.walk(origin.statement))


def _is_copied(origin: Origin) -> bool:
    """Whether the source has a copy of what an origin kept: of one tensor, or of a dictionary or list of them."""
    value = origin.value
    made = isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in GIVING
    return made or not origin.is_whole

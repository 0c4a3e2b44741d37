"""What was noted while the code ran -> Trace."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, overload

import torch

from inplace.capture.autograd import Found
from inplace.capture.contents import Contents
from inplace.capture.identity import Identities
from inplace.capture.modes import CallMode, Row
from inplace.capture.source import Stacks
from inplace.model import (
    Argument,
    Call,
    ContentChange,
    Failure,
    Function,
    GradMode,
    GraphWalk,
    Name,
    Node,
    NodeId,
    Note,
    Optimizer,
    Raised,
    SavedTensor,
    SavedUse,
    Stack,
    TensorId,
    TensorState,
    Trace,
)

_GRAD_MODES = (GradMode.GRAD, GradMode.NO_GRAD, GradMode.INFERENCE)
_NEAR = 64  # calls of a custom function's forward that are looked at for what its node has saved
APPLY = frozenset({"Function.apply", "apply"})

WalkFacts = tuple[int, bool, list[NodeId], list[Found], bool]


class Raw:
    """What the recorder collects beside the rows of the mode."""

    def __init__(self) -> None:
        self.walks: list[WalkFacts] = []
        self.names: list[tuple[str, TensorId, int]] = []
        self.modules: list[str] = []
        self.optimizers: list[tuple[str | None, str, tuple[TensorId, ...]]] = []
        self.notes: list[str] = []
        self.failure: tuple[str, str, int | None] | None = None
        self.contents: Contents | None = None


class CallRows(Sequence[Call]):
    """The calls of a trace, built from rows when asked for: a million calls are not a million objects."""

    def __init__(self, rows: list[Row], functions: list[Function], stacks: list[Stack]) -> None:
        self._rows, self._functions, self._stacks = rows, functions, stacks

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Call: ...
    @overload
    def __getitem__(self, index: slice) -> list[Call]: ...
    def __getitem__(self, index: int | slice) -> Call | list[Call]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        step = index if index >= 0 else len(self) + index
        row = self._rows[step]
        return Call(
            step=step,
            function=self._functions[row.function],
            stack=self._stacks[row.stack],
            inputs=tuple(Argument(*given) for given in row.inputs),
            outputs=row.outputs,
            grad_mode=_GRAD_MODES[row.mode],
            nodes=range(row.seq0, row.seq1),
            module=row.module,
            raised=Raised(*row.raised) if row.raised is not None else None,
            allocated=row.allocated,
            thread=0,
            result=row.result,
            within=row.within,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(a == b for a, b in zip(self, other))

    __hash__ = None  # type: ignore[assignment]


class _Nodes:
    """Joins nodes found by walks to the calls that made them and to the tensors those calls saw."""

    def __init__(self, rows: list[Row], states: list[TensorState], stacks: list[Stack]) -> None:
        self._rows, self._states = rows, states
        self._inside = [any(frame.entry in APPLY for frame in stack.frames) for stack in stacks]
        self._makers = [(row.seq0, step) for step, row in enumerate(rows) if row.seq1 > row.seq0]
        self._starts = [start for start, _ in self._makers]
        # A backward ends after the calls of its hooks, so count it by its beginning: then these never fall.
        running = {row.within for row in rows}
        self._ends = [row.seq0 if row.step in running else row.seq1 for row in rows]
        self.nodes: dict[NodeId, Node] = {}

    def step_of(self, node: NodeId) -> tuple[int | None, int]:
        """The call that made a node, and the last call that had ended by then."""
        position = bisect_right(self._starts, node) - 1
        if node >= 0 and position >= 0:
            step = self._makers[position][1]
            if node < self._rows[step].seq1:
                return step, step
        return None, bisect_right(self._ends, node) - 1

    def add(self, found: Found) -> list[SavedUse]:
        """Note a node, and what its saved tensors' counters were when it was made and when it was met."""
        step, near = self.step_of(found.id)
        candidates = self._near_states(step, near) if found.saved else []
        saved, uses = [], []
        for number, (one, version) in enumerate(zip(found.saved, found.versions, strict=True)):
            match = _match(one, candidates)
            saved.append(replace(one, tensor=match.tensor) if match is not None and _same(one, match) else one)
            if match is None and one.tensor is not None:  # `p.data = new`: the saved tensor itself took other bytes
                match = next((state for state in candidates if state.tensor == one.tensor), None)
            if match is not None and version is not None:
                uses.append(SavedUse(found.id, number, match.counter, match.version, version))
        if found.id not in self.nodes:
            self.nodes[found.id] = Node(found.id, found.name, step, found.edges, tuple(saved), found.leaf, found.custom)
        return uses

    def _near_states(self, step: int | None, near: int) -> list[TensorState]:
        """The states of the tensors of the call that made the node, as that call left them; the likeliest first.

        A custom function's node is made before its forward runs, and no call made it: then the calls of that forward,
        the last first, and the tensors as the call after them found them.
        """
        if step is not None:
            row = self._rows[step]
            return [self._states[one] for one in (*row.outputs, *(given[2] for given in row.inputs))]
        following = range(near + 1, min(near + 1 + _NEAR, len(self._rows)))
        inner: list[int] = []
        for later in following:
            if not self._inside[self._rows[later].stack]:
                break
            inner.append(later)
        after = near + 1 + len(inner)
        found = [self._states[given[1]] for given in self._rows[after].inputs] if after < len(self._rows) else []
        for one in reversed(inner):
            row = self._rows[one]
            found += [self._states[state] for state in (*row.outputs, *(given[2] for given in row.inputs))]
        if near >= 0:
            row = self._rows[near]
            found += [self._states[state] for state in (*row.outputs, *(given[2] for given in row.inputs))]
        return found


def _match(saved: SavedTensor, candidates: list[TensorState]) -> TensorState | None:
    if saved.storage is None:
        return None
    over = [state for state in candidates if state.storage == saved.storage]
    return next((state for state in over if _same(saved, state)), over[0] if over else None)


def _same(saved: SavedTensor, state: TensorState) -> bool:
    return saved.layout is state.layout and saved.offset == state.offset


def freeze(
    raw: Raw, mode: CallMode, identities: Identities, stacks: Stacks, label: Callable[[str], str | None], title: str
) -> Trace:
    """Build the trace of a recording that has ended."""
    sources, sites, frozen_stacks = stacks.freeze(label)
    states = identities.frozen_states()
    nodes = _Nodes(mode.rows, states, frozen_stacks)
    walks = tuple(_walk(facts, nodes) for facts in raw.walks)
    return Trace(
        torch=str(torch.__version__),
        sources=sources,
        sites=sites,
        calls=CallRows(mode.rows, mode.functions, frozen_stacks),
        states=states,
        tensors=identities.frozen_tensors(),
        storages=identities.frozen_storages(),
        nodes=tuple(nodes.nodes.values()),
        walks=walks,
        changes=_changes(raw, frozen_stacks),
        names=tuple(Name(*facts) for facts in raw.names),
        modules=tuple(raw.modules),
        optimizers=tuple(Optimizer(*facts) for facts in raw.optimizers),
        notes=tuple(Note(text) for text in raw.notes),
        failure=_failure(raw.failure, frozen_stacks),
        title=title,
    )


def _walk(facts: WalkFacts, nodes: _Nodes) -> GraphWalk:
    step, is_backward, roots, found, complete = facts
    uses: list[SavedUse] = []
    for one in found:
        uses += nodes.add(one)
    return GraphWalk(step, is_backward, tuple(roots), tuple(one.id for one in found), tuple(uses), complete)


def _changes(raw: Raw, stacks: list[Stack]) -> tuple[ContentChange, ...]:
    found = raw.contents.changes if raw.contents is not None else []
    return tuple(
        ContentChange(storage, after, after + 1, start, stop, stacks[stack] if stack is not None else None)
        for storage, after, stack, start, stop in found
    )


def _failure(facts: tuple[str, str, int | None] | None, stacks: list[Stack]) -> Failure | None:
    if facts is None:
        return None
    kind, message, stack = facts
    return Failure(kind, message, stacks[stack] if stack is not None else None)



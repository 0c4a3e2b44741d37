"""What was noted while the code ran -> Trace."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch

from inplace.capture.bytes.contents import Contents
from inplace.capture.calls.call_notes import CallNotes
from inplace.capture.calls.functions import path_of
from inplace.capture.code.stacks import Stacks
from inplace.capture.gradients import Gradients
from inplace.capture.graph.walk import FoundNode, Walked
from inplace.capture.left_out import LeftOut
from inplace.capture.tables.call_log import GIVEN_WIDTH, SEQ0, SEQ1, CallLog
from inplace.capture.tables.call_table import CallRows
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.capture.tables.versions_seen import VersionsSeen
from inplace.facts.model import (
    Collective,
    ContentChange,
    Failure,
    Function,
    GraphWalk,
    Layout,
    Name,
    Node,
    NodeId,
    Note,
    Optimizer,
    Process,
    SavedTensor,
    SavedUse,
    SharedBytes,
    Stack,
    StorageId,
    TensorId,
    TensorState,
    Trace,
)
from inplace.facts.pause import no_collection
from inplace.facts.rows import column

_NEAR = 64  # calls of a custom function's forward that are looked at for what its node has saved
# In-place functions whose derivative is written with `result`, and those whose derivative uses an argument.
_KEEP_RESULT = frozenset(
    [
        "exp_",
        "exp2_",
        "expm1_",
        "sigmoid_",
        "tanh_",
        "sqrt_",
        "rsqrt_",
        "reciprocal_",
        "relu_",
        "tan_",
        "elu_",
        "selu_",
        "celu_",
        "leaky_relu_",
        "hardtanh_",
        "threshold_",
        "rrelu_",
    ]
)
_KEEP_ARGUMENTS: dict[str, tuple[tuple[str, str], ...]] = {
    "mul_": (("other", "1"),),
    "multiply_": (("other", "1"),),
    "div_": (("other", "1"),),
    "divide_": (("other", "1"),),
    "true_divide_": (("other", "1"),),
    "addcmul_": (("tensor1", "1"), ("tensor2", "2")),
    "addcdiv_": (("tensor1", "1"), ("tensor2", "2")),
    "masked_fill_": (("mask", "1"),),
}
APPLY = frozenset({"Function.apply", "apply"})

FailureFacts = tuple[str, str, int | None, tuple[Name, ...], str]  # as `Failure` has them, the stack by its number
WalkFacts = tuple[int, bool, Walked]  # the step, and whether that is a backward's


class Raw:
    """What the recorder collects beside the rows of the mode."""

    def __init__(self) -> None:
        self.walks: list[WalkFacts] = []
        self.names: list[tuple[str, TensorId, int]] = []
        self.modules: list[str] = []
        self.optimizers: list[tuple[str | None, str, tuple[TensorId, ...]]] = []
        self.notes: list[str] = []
        self.failure: FailureFacts | None = None
        self.contents: Contents | None = None
        self.left_out = LeftOut()
        self.gradients: Gradients | None = None
        self.collectives: list[Collective] = []
        self.process: Process | None = None


class _Nodes:
    """Joins nodes found by walks to the calls that made them and to the tensors those calls saw."""

    def __init__(
        self,
        rows: CallLog,
        states: Sequence[TensorState],
        stacks: list[Stack],
        functions: list[Function],
        known: AbstractSet[NodeId],
    ) -> None:
        self._rows, self._states, self._functions, self._known = rows, states, functions, known
        self._inside = [any(frame.entry in APPLY for frame in stack.frames) for stack in stacks]
        starts, ends = rows.sequence(SEQ0), rows.sequence(SEQ1)
        self._makers = [step for step, (start, end) in enumerate(zip(starts, ends, strict=True)) if end > start]
        self._starts = [starts[step] for step in self._makers]
        # A backward ends after the calls of its hooks, so count it by its beginning: then these never fall.
        for step in rows.within.values():
            ends[step] = starts[step]
        self._ends = ends
        self.nodes: dict[NodeId, Node] = {}

    def step_of(self, node: NodeId) -> tuple[int | None, int]:
        """The call that made a node, and the last call that had ended by then."""
        position = bisect_right(self._starts, node) - 1
        if node >= 0 and position >= 0:
            step = self._makers[position]
            if node < self._rows[step].seq1:
                return step, step
        return None, bisect_right(self._ends, node) - 1

    def add(self, found: FoundNode, walked: int) -> list[SavedUse]:
        """Note a node met by the walk at step `walked`, and its saved tensors' versions when saved and then.

        Of a node that an earlier run has made no more is known here than its versions now.
        """
        if found.id in self._known:
            node = Node(found.id, found.name, None, found.edges, found.saved, found.leaf, found.custom)
            self.nodes.setdefault(found.id, node)
            seen = enumerate(found.versions)
            return [SavedUse(found.id, n, None, None, version, None) for n, version in seen if version is not None]
        step, near = self.step_of(found.id)
        known, versions, values = found.saved, found.versions, found.values
        if found.name == "CopySlices" and step is not None:
            inner, versions_now = self._inside_copy_slices(step, walked)
            known, versions = tuple(inner), tuple(versions_now)
            values = (None,) * len(known)
        saved, uses = [], []
        for number, (one, version, now) in enumerate(zip(known, versions, values, strict=True)):
            if one.storage is None and version is not None:
                match = self._overwritten(one, step, near, version, walked)
                saved.append(replace(one, layout=None) if match is None else _saved_from(one, match))
            else:
                match = self._match(one, step, near)
                saved.append(replace(one, tensor=match.tensor) if match is not None and _same(one, match) else one)
            if match is not None and version is not None:
                changed = _has_changed(one, match, now)
                uses.append(SavedUse(found.id, number, match.counter, match.version, version, changed))
        if found.id not in self.nodes:
            self.nodes[found.id] = Node(found.id, found.name, step, found.edges, tuple(saved), found.leaf, found.custom)
        return uses

    def _match(self, saved: SavedTensor, step: int | None, near: int) -> TensorState | None:
        """The state of a tensor of the call that made a node, as it was when the node saved it.

        Results are saved as the call left them, arguments as it found them (`b.mul_(b[1:])` saves an argument that the
        same call then writes). Where a tensor and its `.data` both went in, the argument of that name is meant.
        """
        if saved.storage is None:
            return None
        candidates = self._candidates(saved.name, step, near)
        same_tensor = [state for state in candidates if saved.tensor is not None and state.tensor == saved.tensor]
        over = [state for state in candidates if state.storage == saved.storage]
        exact = [state for state in over if _same(saved, state)]
        return next(iter([*same_tensor, *exact, *over]), None)

    def _candidates(self, name: str, step: int | None, near: int) -> list[TensorState]:
        """The states of tensors that a node may have saved under a name, the likeliest first; see `_match`."""
        if step is None:
            return self._near_states(near)
        row = self._rows[step]
        before = [(path, self._states[state]) for path, state, _ in row.inputs]
        outputs = [self._states[state] for state in row.outputs]
        if name.startswith("result"):
            return outputs + [self._states[state] for _, _, state in row.inputs]
        wanted = path_of(self._functions[row.function].label, name)
        return [state for path, state in before if path == wanted] + [state for _, state in before] + outputs

    def _overwritten(
        self, saved: SavedTensor, step: int | None, near: int, version: int, walked: int
    ) -> TensorState | None:
        """The state of the tensor behind a save that is overwritten, and so can't be read; its version now is told.

        See NOTE [ Handles that show nothing ].
        """
        fitting = [
            state
            for state in self._candidates(saved.name, step, near)
            if state.version is not None and state.version < version == self._all_versions.before(state, walked)
        ]
        # A call may make several nodes (a cell of a recurrent network multiplies by two weights), and turns what they
        # save: then the sizes tell its arguments apart.
        sizes = None if saved.layout is None else sorted(saved.layout.shape)
        exact = [state for state in fitting if sorted(state.layout.shape) == sizes]
        return next(iter(exact or fitting), None)

    def _inside_copy_slices(self, step: int, walked: int) -> tuple[list[SavedTensor], list[int | None]]:
        """What the function inside a `CopySlices` node saved, which PyTorch shows nobody.

        An in-place call on a view is recorded as `CopySlices` around the call's own node
        (`torch/csrc/autograd/functions/tensor.h`); what that node keeps follows from the call.
        """
        row = self._rows[step]
        label = self._functions[row.function].label
        found: list[SavedTensor] = []
        versions: list[int | None] = []
        wanted = [("result", "0")] if label in _KEEP_RESULT else []
        wanted += _KEEP_ARGUMENTS.get(label, ())
        for name, path in wanted:
            given = next((one for one in row.inputs if one[0] == path), None)
            if given is None:
                continue
            state = self._states[given[2] if name == "result" else given[1]]
            found.append(SavedTensor(name, state.tensor, state.storage, state.offset, state.layout, counted=True))
            versions.append(self._versions.before(state, walked))
        return found, versions

    @cached_property
    def _versions(self) -> VersionsSeen:
        asked = {
            number for number, one in enumerate(self._functions) if one.label in _KEEP_RESULT | _KEEP_ARGUMENTS.keys()
        }
        return VersionsSeen(self._rows, self._states, asked)

    @cached_property
    def _all_versions(self) -> VersionsSeen:
        return VersionsSeen(self._rows, self._states, range(len(self._functions)))

    def _near_states(self, near: int) -> list[TensorState]:
        """The states of the tensors around a custom function's node, which no call made; the likeliest first.

        It is made before its forward runs: so the tensors as the call after that forward found them, then those of the
        calls of the forward, the last first.
        """
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


def _has_changed(saved: SavedTensor, match: TensorState, now: tuple[Any, ...] | None) -> bool | None:
    """Whether a small saved tensor has other elements now than the tensor it was saved from had then."""
    if now is None or match.values is None or saved.layout is None or saved.layout.shape != match.layout.shape:
        return None
    return repr(now) != repr(match.values)  # so that nan equals nan


def _saved_from(saved: SavedTensor, state: TensorState) -> SavedTensor:
    return replace(saved, tensor=state.tensor, storage=state.storage, offset=state.offset, layout=state.layout)


def _same(saved: SavedTensor, state: TensorState) -> bool:
    return saved.layout is state.layout and saved.offset == state.offset


@no_collection()
def freeze(
    raw: Raw,
    notes: CallNotes,
    seen: TensorsSeen,
    stacks: Stacks,
    label: Callable[[str], str | None],
    title: str,
    known: AbstractSet[NodeId] = frozenset(),
) -> Trace:
    """Build the trace of a recording that has ended; `known` are the nodes that earlier runs of its session know."""
    sources, sites, frozen_stacks = stacks.freeze(label)
    storages, stored = seen.storages.frozen()
    states, places = seen.states.frozen(stored, notes.log.origin)
    notes.log.renumber(places)
    nodes = _Nodes(notes.log, states, frozen_stacks, notes.functions, known)
    walks = tuple(_walk(facts, nodes, seen.states.layouts.known, stored) for facts in raw.walks)
    changes = _changes(raw, frozen_stacks, stored)
    return Trace(
        torch=str(torch.__version__),
        sources=sources,
        sites=sites,
        calls=CallRows(notes.log, notes.functions, frozen_stacks, seen.storages.allocations(len(notes.log))),
        states=states,
        tensors=seen.tensors.frozen(),
        storages=storages,
        nodes=tuple(nodes.nodes.values()),
        walks=walks,
        changes=changes,
        names=_names_of_touched(raw, notes.log, states, changes),
        modules=tuple(raw.modules),
        optimizers=tuple(Optimizer(*facts) for facts in raw.optimizers),
        notes=tuple(Note(text) for text in raw.notes),
        failure=_failure_at(raw.failure, frozen_stacks),
        title=title,
        not_looked_at=raw.left_out.frozen(frozen_stacks, stored),
        acts=raw.gradients.frozen(frozen_stacks) if raw.gradients is not None else (),
        process=raw.process,
        collectives=tuple(raw.collectives),
        shared=_shared(raw, stored),
    )


def _walk(facts: WalkFacts, nodes: _Nodes, layouts: Sequence[Layout], stored: Sequence[int]) -> GraphWalk:
    step, is_backward, walked = facts
    uses: list[SavedUse] = []
    for one in walked.noted:
        uses += nodes.add(FoundNode.of(one, walked.ids, layouts, stored), step)
    ids = tuple(map(NodeId, walked.ids))
    reached = ids[: len(walked.noted)]
    released = tuple(map(NodeId, walked.released))
    return GraphWalk(step, is_backward, ids[: walked.roots], reached, tuple(uses), walked.is_complete, released)


def _names_of_touched(
    raw: Raw, log: CallLog, states: Sequence[TensorState], changes: tuple[ContentChange, ...]
) -> tuple[Name, ...]:
    """The names that reach bytes the recorded code had to do with; a notebook has many others."""
    if not raw.names:
        return ()
    storages = column(states, "storage")
    touched = {storages[state] for seen in (log.outputs, log.given[1::GIVEN_WIDTH]) for state in seen}
    touched.update(change.storage for change in changes)
    named = {tensor for _, tensor, _ in raw.names}
    last = {
        tensor: storage for tensor, storage in zip(column(states, "tensor"), storages, strict=True) if tensor in named
    }
    return tuple(Name(*facts) for facts in raw.names if last.get(facts[1]) in touched)


def _changes(raw: Raw, stacks: list[Stack], stored: Sequence[int]) -> tuple[ContentChange, ...]:
    found = raw.contents.changes if raw.contents is not None else []
    return tuple(
        ContentChange(
            StorageId(stored[storage]),
            after,
            before,
            start,
            stop,
            stacks[stack] if stack is not None else None,
            is_sampled=sampled,
        )
        for storage, after, before, stack, start, stop, sampled in found
    )


def _shared(raw: Raw, stored: Sequence[int]) -> tuple[SharedBytes, ...]:
    found = raw.contents.shared.found if raw.contents is not None else {}
    return tuple(SharedBytes(StorageId(stored[one]), *facts) for one, facts in found.items())


def _failure_at(facts: FailureFacts | None, stacks: list[Stack]) -> Failure | None:
    if facts is None:
        return None
    kind, message, stack, there, custom = facts
    return Failure(kind, message, stacks[stack] if stack is not None else None, there, custom)

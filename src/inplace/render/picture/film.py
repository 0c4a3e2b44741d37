"""The film: which calls made, wrote, took and kept the bytes of storages that are drawn, and who was called what."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from inplace.facts.model import Call, Kind, Layout, NodeId, SavedTensor, StorageId, TensorId, TensorState, Trace
from inplace.reading.trace.extents import pieces
from inplace.reading.trace.names import Names
from inplace.render.picture.film_model import BACKWARD, KEPT, MADE, SHARED, TAKEN, UNSEEN, WRITTEN, Film, Hold, NameSpan
from inplace.render.picture.timeline_model import steps_apart

_FIRST, _LAST = 1_500, 3_000  # rows kept of one storage, from its beginning and from its end
_HOLDS = 300  # saved tensors kept of one storage
_READS = 20  # backward calls kept of one saved tensor
_PARTS, _PIECES = 300, 64  # tensors that are not drawn of which the bytes are told, and the pieces of each
_NAMES = 12  # spans of names kept of one tensor
_BACKWARD_NAME = re.compile(r"Backward\d*$")
# What takes nothing but shape and kind from its argument.
_SHAPE_ONLY = re.compile(r"\w+_like$|new_\w+$|requires_grad_$")

Row = tuple[int, int, int]


class Reel:
    """The rows of one storage; of many, the first and the last are kept."""

    def __init__(self) -> None:
        self._first: list[Row] = []
        self._last: deque[Row] = deque(maxlen=_LAST)
        self._count = 0
        self._parts: dict[tuple[int, Layout], int] = {}

    def add(self, row: Row) -> None:
        """Note a row; rows come in order."""
        self._count += 1
        (self._first if len(self._first) < _FIRST else self._last).append(row)

    def part(self, offset: int, layout: Layout) -> int:
        """The number of the bytes of a tensor that is not drawn: from -2 downwards; -1 where there are too many."""
        key = offset, layout
        number = self._parts.get(key, -1)
        if number == -1 and len(self._parts) < _PARTS:
            number = self._parts[key] = -2 - len(self._parts)
        return number

    def film(self, holds: list[Hold]) -> Film:
        """The rows, with those that follow from what is kept, in order."""
        rows = [*self._first, *self._last]
        hidden = self._count - len(rows)
        gap = len(self._first) if hidden else -1
        told = holds[:_HOLDS]
        late = self._last[0][0] if hidden else -1
        for hold in told:
            at = [(hold.since, KEPT), *((step, BACKWARD) for step in hold.backwards)]
            rows += [(step, hold.tensor, act) for step, act in at if step >= 0]
        rows.sort()
        if hidden:
            gap = sum(1 for step, *_ in rows if step < late)
        steps, tensors, acts = zip(*rows, strict=True) if rows else ((), (), ())
        parts = tuple(tuple(pieces(*key)[0][:_PIECES]) for key in self._parts)
        return Film(steps_apart(steps), tensors, acts, parts, gap, hidden, tuple(told), len(holds) - len(told))


@dataclass(slots=True)
class _Held:
    """What is found of one saved tensor."""

    node: NodeId
    tensor: int
    storage: StorageId
    since: int
    backwards: list[int] = field(default_factory=list)
    saved: int | None = None
    stale: bool = False


class Films:
    """What is noted for the films of some storages while the calls are looked at.

    Args:
        trace: what was recorded.
        drawn: the tensors that are drawn of each storage.
        broken: nodes whose save a finding calls overwritten, with the name of the save.
        most: how many calls are shown.
    """

    def __init__(
        self, trace: Trace, drawn: dict[StorageId, list[TensorId]], broken: set[tuple[NodeId, str]], most: int
    ) -> None:
        self._trace, self._broken, self._most = trace, broken, most
        self._shown = {tensor for tensors in drawn.values() for tensor in tensors}
        self._reels = {storage: Reel() for storage in drawn}
        self._unseen = deque(sorted((one.before, one.storage) for one in trace.changes if one.storage in drawn))

    def add(self, call: Call) -> None:
        """Note what a call had to do with the storages; calls come in order."""
        while self._unseen and self._unseen[0][0] <= call.step:
            step, storage = self._unseen.popleft()
            self._reels[storage].add((step, -1, UNSEEN))
        states, reels = self._trace.states, self._reels
        writes = [one for one in self._trace.writes(call) if call.raised is None or one.before != one.after]
        written = {states[one.before].tensor for one in writes}
        given = {state.storage: state for state in map(states.__getitem__, call.outputs) if state.storage is not None}
        acts: dict[tuple[StorageId, int], int] = defaultdict(int)
        for argument in call.inputs:
            state = states[argument.before]
            if state.storage in reels:
                act = WRITTEN if state.tensor in written else self._taken(call, shared=state.storage in given)
                acts[state.storage, self._number(state)] |= act
        for storage, state in given.items():
            if storage in reels and self._trace.storages[storage].born == call.step:
                acts[storage, self._number(state)] |= MADE
        for (storage, number), act in acts.items():
            if act:
                reels[storage].add((call.step, number, act))

    def _number(self, state: TensorState) -> int:
        if state.tensor in self._shown or state.storage is None:
            return state.tensor
        return self._reels[state.storage].part(state.offset, state.layout)

    def _saved(self, saved: SavedTensor, storage: StorageId) -> int:
        if saved.tensor is not None and saved.tensor in self._shown:
            return saved.tensor
        return -1 if saved.layout is None else self._reels[storage].part(saved.offset, saved.layout)

    @staticmethod
    def _taken(call: Call, *, shared: bool) -> int:
        kind = call.function.kind
        if shared or kind is Kind.EXPORT:
            return SHARED
        if kind not in {Kind.OP, Kind.TO_PYTHON} or _SHAPE_ONLY.match(call.function.label):
            return 0
        return TAKEN

    def films(self) -> dict[StorageId, Film]:
        """The film of each storage."""
        holds = self._holds()
        return {storage: reel.film(holds.get(storage, [])) for storage, reel in self._reels.items()}

    def _holds(self) -> dict[StorageId, list[Hold]]:
        """What nodes keep of each storage, in the order in which they were made."""
        found: dict[tuple[NodeId, int], _Held] = {}
        for node in self._trace.nodes:
            since = -1 if node.step is None else node.step
            for number, saved in enumerate(node.saved):
                if saved.storage is not None and saved.storage in self._reels and since < self._most:
                    tensor, stale = self._saved(saved, saved.storage), (node.id, saved.name) in self._broken
                    found[node.id, number] = _Held(node.id, tensor, saved.storage, since, stale=stale)
        for walk in self._trace.walks:
            for use in walk.uses:
                held = found.get((use.node, use.saved))
                if held is None:
                    continue
                held.saved = use.version_saved
                held.stale = held.stale or (None is not use.version != use.version_saved is not None)
                if walk.is_backward and len(held.backwards) < _READS and walk.step < self._most:
                    held.backwards.append(walk.step)
        told: defaultdict[StorageId, list[Hold]] = defaultdict(list)
        for held in sorted(found.values(), key=lambda one: one.since):
            name = self._trace.node_by_id[held.node].name
            title = (_BACKWARD_NAME.sub("", name) or name)[:60]
            told[held.storage].append(
                Hold(title, held.tensor, held.since, tuple(held.backwards), held.saved, held.stale)
            )
        return told


def names_over_time(names: Names, shown: Iterable[TensorId], most: int) -> dict[TensorId, tuple[NameSpan, ...]]:
    """When each of some tensors had which name: as the source gives them, then those seen at the end."""
    spans: dict[TensorId, list[NameSpan]] = {tensor: [] for tensor in shown}
    holder: dict[tuple[str, str], tuple[TensorId, int]] = {}
    for step, tensor, scope, targets in names.givings(most):
        for name in targets:
            before = holder.get((scope, name))
            if before is not None and before[0] == tensor:
                continue
            if before is not None and before[0] in spans:
                spans[before[0]].append(NameSpan(name[:80], before[1], step, scope))
            holder[scope, name] = (tensor, step)
    for (scope, name), (tensor, since) in holder.items():
        if tensor in spans:
            spans[tensor].append(NameSpan(name[:80], since, -1, scope))
    for tensor, told in spans.items():
        known = {span.name for span in told if span.until < 0}
        told += [NameSpan(name[:80], None, -1, "") for name in names.seen.get(tensor, ()) if name[:80] not in known]
    return {tensor: tuple(told[-_NAMES:]) for tensor, told in spans.items()}

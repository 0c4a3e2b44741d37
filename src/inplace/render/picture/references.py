"""The references pane: which tensors and storages are drawn, what bytes they cover, and what they held at each step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

from inplace.facts.model import BEFORE, Call, CounterId, NodeId, StateId, StorageId, TensorId, TensorState
from inplace.facts.rows import NOTHING, column
from inplace.reading.trace.extents import elements, pieces, shared_ranges
from inplace.reading.trace.index import Index
from inplace.render.picture.film import Films, names_over_time
from inplace.render.picture.film_model import Film, NameSpan
from inplace.render.picture.findings import About
from inplace.render.picture.model import CounterBox, References, StorageBox, TensorBox
from inplace.render.picture.source import Texts
from inplace.render.picture.timeline_model import CALLS, Scalar, steps_apart

_STORAGES = 24  # storages drawn at most
_TENSORS = 8  # tensors drawn of one storage at most
_NAMES = 6
_CELLS = 16  # elements of a storage whose values are shown at most
_CHANGES = 1_000  # changes of values kept of one storage
_MOVES = 120_000  # versions kept of all counters
_TOUCHED = 3_000


class ReferencesPane:
    """What the references pane shows of a trace, for the findings it has."""

    def __init__(
        self, index: Index, abouts: list[About], texts: Texts, broken: Iterable[tuple[NodeId, str]] = ()
    ) -> None:
        self._history, self._trace, self._texts = index.history, index.trace, texts
        self.names, self._index = index.names.seen, index
        self._told = {tensor for one in abouts for tensor in one.tensors}
        self._kept = self._choose([storage for one in abouts for storage in one.storages])
        self._over = self._history.tensors_over(self._kept)
        self._drawn = {storage: self._of_storage(storage) for storage in self._kept}
        self._was: dict[TensorId, str] = {}
        self._moves: defaultdict[CounterId, list[tuple[int, int]]] = defaultdict(list)
        self._values: defaultdict[StorageId, list[tuple[int, dict[int, Scalar | None]]]] = defaultdict(list)
        self._held: defaultdict[StorageId, dict[int, Scalar | None]] = defaultdict(dict)
        self._valued: dict[StorageId, tuple[CounterId | None, int | None]] = {}
        self._cells = defaultdict(int, {storage: self._elements(storage) for storage in self._kept})
        self._touched: defaultdict[TensorId, dict[int, None]] = defaultdict(dict)
        self._states = self._trace.states
        self._shown = {tensor for tensors in self._drawn.values() for tensor in tensors}
        counters = {self._known(tensor).counter for tensor in self._shown}
        self._most_moves = _MOVES // max(1, len(counters))
        self._seen = self._sights(counters)
        self._films = Films(self._trace, self._drawn, set(broken), CALLS)

    def last(self, tensor: TensorId) -> TensorState | None:
        """The state a tensor was last seen in."""
        return self._history.last_state(tensor)

    def _known(self, tensor: TensorId) -> TensorState:
        """The state that a tensor with a state was last seen in."""
        return self._trace.states[self._history.last_numbers[tensor]]

    # ------------------------------------------------------------ what is drawn

    def _choose(self, told: list[StorageId]) -> list[StorageId]:
        """Storages of findings first, then those that several names reach, then those with any name."""
        named: dict[StorageId, int] = {}
        for tensor, names in self.names.items():
            state = self.last(tensor)
            if state is not None and state.storage is not None:
                named[state.storage] = named.get(state.storage, 0) + len(names)
        told += [s.storage for t in self._told if (s := self.last(t)) is not None and s.storage is not None]
        several = [storage for storage, count in named.items() if count > 1]
        self._wanted = list(dict.fromkeys([*told, *several, *sorted(named)]))
        return self._wanted[:_STORAGES]

    def _sights(self, counters: Collection[int | None]) -> Sequence[bool]:
        """Of each state, whether it shows something of a storage or counter that is drawn."""
        storages, known = set(self._kept), {NOTHING if counter is None else counter for counter in counters}
        fields = [column(self._trace.states, field) for field in ("storage", "counter")]
        return [storage in storages or counter in known for storage, counter in zip(*fields, strict=True)]

    def _of_storage(self, storage: StorageId) -> list[TensorId]:
        ranked = sorted(self._over[storage], key=lambda t: (t not in self._told, t not in self.names, t))
        worth = [t for t in ranked if t in self._told or t in self.names] or ranked[:1]
        return sorted(worth[:_TENSORS])

    # ------------------------------------------------------------ what happened to it

    def look(self) -> None:
        """Look at the calls that saw something of the storages and counters that are drawn."""
        for call in self._history.calls_at(self._history.columns.seeing(self._seen)):
            self._add(call)

    def _add(self, call: Call) -> None:
        seen = self._seen
        if call.step < CALLS:
            self._films.add(call)
        for argument in call.inputs:
            if seen[argument.before]:
                self._sighted(argument.before, call.step - 1, call.step)
        for argument in call.inputs:
            if argument.after != argument.before and seen[argument.after]:
                self._sighted(argument.after, call.step, call.step)
        for state in call.outputs:
            if seen[state]:
                self._sighted(state, call.step, call.step)
                tensor = self._states[state].tensor
                if tensor in self._shown and tensor not in self._was:
                    self._was[tensor] = self._texts.assigned(call.stack)

    def _sighted(self, number: StateId, since: int, step: int) -> None:
        state = self._trace.states[number]
        self._touched[state.tensor][step] = None
        if state.counter is not None and state.version is not None:
            moves = self._moves[state.counter]
            if (not moves or moves[-1][1] != state.version) and len(moves) <= self._most_moves:
                moves.append((since, state.version))
        if state.storage is not None and self._cells[state.storage]:
            self._note_values(state.storage, state, since)

    def _note_values(self, storage: StorageId, state: TensorState, since: int) -> None:
        """Note values that are new; forget those known where a version without values shows that there are others."""
        held, changes = self._held[storage], self._values[storage]
        found: dict[int, Scalar | None] = {}
        mark = (state.counter, state.version)
        if state.values is None:
            if held and self._valued.get(storage) != mark:
                found = dict.fromkeys(held)
        else:
            self._valued[storage] = mark
            seen = zip(elements(state.offset, state.layout), state.values, strict=False)
            found = {element: value for element, value in seen if held.get(element) != value}
        if found and len(changes) <= _CHANGES:
            held.update(found)
            changes.append((since, found))

    def _itemsize(self, storage: StorageId) -> int:
        sizes = {self._known(tensor).layout.itemsize for tensor in self._drawn[storage]}
        return sizes.pop() if len(sizes) == 1 else 0

    def _elements(self, storage: StorageId) -> int:
        size = self._itemsize(storage)
        count = self._trace.storage(storage).bytes // size if size else 0
        return count if count <= _CELLS else 0

    # ------------------------------------------------------------ as the picture has it

    def references(self) -> References:
        """The pane."""
        drawn = [tensor for tensors in self._drawn.values() for tensor in tensors]
        called = names_over_time(self._index.names, drawn, CALLS)
        boxes = {tensor: self._tensor_box(tensor, called[tensor]) for tensor in drawn}
        films = self._films.films()
        return References(
            tensors=tuple(boxes.values()),
            storages=tuple(self._storage_box(storage, boxes, films[storage]) for storage in self._kept),
            counters=tuple(self._counter_boxes({box.counter for box in boxes.values()})),
            tensors_hidden=len(self._trace.tensors) - len(drawn),
            storages_hidden=len(self._trace.storages) - len(self._kept),
        )

    def _tensor_box(self, tensor: TensorId, called: tuple[NameSpan, ...]) -> TensorBox:
        state, about = self._known(tensor), self._trace.tensor(tensor)
        names = self.names.get(tensor, [])
        parts, exact = pieces(state.offset, state.layout)
        cells = tuple(elements(state.offset, state.layout)) if self._cells_fit(state) else ()
        steps = list(self._touched[tensor])
        return TensorBox(
            id=tensor,
            names=tuple(name[:80] for name in names[:_NAMES]),
            names_hidden=max(0, len(names) - _NAMES),
            was="" if names else self._was.get(tensor, ""),
            type=about.type,
            dtype=state.layout.dtype,
            shape=state.layout.shape,
            requires_grad=state.requires_grad,
            is_leaf=state.is_leaf,
            storage=-1 if state.storage is None else state.storage,
            base=-1 if state.base is None else state.base,
            counter=-1 if state.counter is None else state.counter,
            born=about.first_seen if about.origin != BEFORE else BEFORE,
            died=-1 if about.died is None else about.died,
            pieces=tuple(parts),
            exact=exact,
            cells=cells,
            touched=steps_apart(steps[:_TOUCHED]),
            touched_hidden=max(0, len(steps) - _TOUCHED),
            called=called,
        )

    def _cells_fit(self, state: TensorState) -> bool:
        return state.storage is not None and self._cells[state.storage] > 0 and state.layout.numel <= _CELLS

    def _storage_box(self, storage: StorageId, boxes: dict[TensorId, TensorBox], film: Film) -> StorageBox:
        about, changes = self._trace.storage(storage), self._values[storage]
        drawn = self._drawn[storage]
        cut = len(changes) > _CHANGES
        return StorageBox(
            id=storage,
            bytes=about.bytes,
            device=about.device,
            external=about.external,
            born=about.born,
            died=-1 if about.died is None else about.died,
            itemsize=self._itemsize(storage),
            elements=self._cells[storage] if changes else 0,
            tensors=tuple(drawn),
            tensors_hidden=len(self._over[storage]) - len(drawn),
            shared=tuple(shared_ranges([boxes[tensor].pieces for tensor in drawn])),
            values=tuple((step, tuple(found.items())) for step, found in changes[:_CHANGES]),
            until=changes[_CHANGES - 1][0] if cut else -1,
            film=film,
        )

    def _counter_boxes(self, wanted: set[int]) -> Iterator[CounterBox]:
        for counter, moves in self._moves.items():
            if counter in wanted:
                most = self._most_moves
                until = moves[most - 1][0] if len(moves) > most else -1
                steps, versions = zip(*moves[:most], strict=True)
                yield CounterBox(counter, steps_apart(steps), steps_apart(versions), until)

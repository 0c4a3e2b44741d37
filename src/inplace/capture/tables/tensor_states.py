"""The states in which tensors were seen, in rows of integers, where -1 stands for nothing."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from struct import Struct
from typing import Any

from inplace.capture.tables.layouts import LAYOUT, Layouts
from inplace.capture.tables.tensor_facts import creation_name
from inplace.capture.tables.tensors import FACTS, NODE, NONE, TENSOR, Tensors, first_state, in_order, places_in
from inplace.facts.model import CounterId, Layout, StateId, StorageId, TensorId, TensorState
from inplace.facts.rows import NOTHING, Table

# Integers a state: tensor, storage, counter, offset, packed facts, version, node, base, tensors met by then.
_WIDTH = 9
_VERSION, _NODE, _MET = 5, 6, 8
_FIELDS = {"tensor": 0, "counter": 2}
REQUIRES_GRAD, _LEAF, _INFERENCE = 1, 2, 4  # bits of the packed facts
_FLAGS = {"requires_grad": REQUIRES_GRAD, "is_leaf": _LEAF}
_tensor_state: Any = TensorState  # given integers that are ids
_row = Struct(f"{_WIDTH}q").pack
_CREATION = 3  # the bit of the packed facts from which on they hold the creation, plus one; autograd's are below it


def creation_flag(number: int | None) -> int:
    """A `CreationMeta` as part of the flags of a state; 0 for none."""
    return 0 if number is None else (number + 1) << _CREATION


class States:
    """Keeps states and gives them their ids.

    Args:
        tensors: the tensors met; the first states of new ones are in their rows.

    Attributes:
        layouts: every layout met.
        values: the elements of small tensors, by the state they were read in.
    """

    def __init__(self, tensors: Tensors) -> None:
        self.layouts = Layouts()
        self.values: dict[StateId, tuple[Any, ...]] = {}
        self._tensors = tensors
        self._facts = array("q")

    def note(
        self,
        tensor: int,
        storage: int,
        counter: int,
        offset: int,
        layout: int,
        flags: int,
        version: int,
        node: int,
        base: int,
    ) -> StateId:
        """Note a state; `flags` are those of `tensor_facts.autograd_of`, with `creation_flag` added for a view."""
        facts = self._facts
        state = StateId(len(facts) // _WIDTH)
        facts.frombytes(
            _row(
                tensor,
                storage,
                counter,
                offset,
                layout << LAYOUT | flags,
                version,
                node,
                base,
                self._tensors.count,
            )
        )
        return state

    def again(self, state: StateId, version: int) -> StateId:
        """Note the same state at another version; not for the first state of a new tensor."""
        facts = self._facts
        number = StateId(len(facts) // _WIDTH)
        facts += facts[state * _WIDTH : (state + 1) * _WIDTH]
        facts[number * _WIDTH + _VERSION] = version
        facts[-1] = self._tensors.count
        return number

    def opaque(self, tensor: TensorId) -> StateId:
        """Note the state of a tensor of which no more can be read than that it is there."""
        return self.note(tensor, -1, -1, 0, self.layouts.opaque(), 0, -1, -1, -1)

    def tensor(self, state: StateId) -> TensorId:
        """The tensor that was in a state."""
        return TensorId(first_state(state) if state < 0 else self._facts[state * _WIDTH])

    def tensors_in(self, seen: Iterable[Iterable[int]]) -> set[TensorId]:
        """The tensors that were in any of these states."""
        known = self._facts[::_WIDTH]
        return {TensorId(-1 - state if state < 0 else known[state]) for states in seen for state in states}

    def facts(self, state: StateId) -> int:
        """The packed facts of a state: autograd's flags, creation and layout."""
        return self._tensors.fact(first_state(state), FACTS) if state < 0 else self._facts[state * _WIDTH + 4]

    def creation(self, state: StateId) -> int:
        """The `CreationMeta` of a state as `creation_flag` packs it."""
        return self.facts(state) & (1 << LAYOUT) - (1 << _CREATION)

    def may_be_older(self, state: int, node: int, origin: int) -> bool:
        """Whether a tensor in a state has a node that is older than the one of a number, or one that isn't known.

        `origin` is the number from which the nodes of new tensors count.
        """
        if state < 0:
            own = self._tensors.fact(-1 - state, NODE)
            return 0 <= own < node - origin
        own, flags = self._facts[state * _WIDTH + _NODE], self._facts[state * _WIDTH + 4]
        return own < node if own >= 0 else flags & (REQUIRES_GRAD | _LEAF) == REQUIRES_GRAD

    def placed(self, state: StateId) -> tuple[int, int]:
        """Offset in elements, and the number of the layout, of a state."""
        if state < 0:
            return 0, self._tensors.fact(first_state(state), FACTS) >> LAYOUT
        at = state * _WIDTH + 3
        return self._facts[at], self._facts[at + 1] >> LAYOUT

    def counted(self, state: StateId) -> tuple[StorageId | None, CounterId | None]:
        """Storage, if it was asked for, and version counter of a state."""
        if state < 0:
            tensor = TensorId(first_state(state))
            return self._tensors.asked.get(tensor), CounterId(tensor)
        storage, counter = self._facts[state * _WIDTH + 1], self._facts[state * _WIDTH + 2]
        return None if storage < 0 else StorageId(storage), None if counter < 0 else CounterId(counter)

    def frozen(self, storages: Sequence[int], origin: int) -> tuple[StateRows, array[int]]:
        """The states in the order in which they were noted, and their places in it, by id.

        Args:
            storages: the places of the storages, as `Storages.frozen` gives them.
            origin: the number from which the nodes of new tensors count.
        """
        new = [tensor for tensor, facts in enumerate(self._tensors.rows[FACTS::TENSOR]) if facts != NONE]
        order = in_order(new, enumerate(self._facts[_MET::_WIDTH]))
        places = places_in(order, len(self._facts) // _WIDTH + self._tensors.count)
        return StateRows(order, self._facts, self._tensors, self.layouts.known, self.values, storages, origin), places


class StateRows(Table[TensorState]):
    """The states of a trace; see `States.frozen`. `order` holds the ids that they had while they were recorded."""

    def __init__(
        self,
        order: array[int],
        facts: array[int],
        tensors: Tensors,
        layouts: Sequence[Layout],
        values: Mapping[StateId, tuple[Any, ...]],
        storages: Sequence[int],
        origin: int,
    ) -> None:
        super().__init__(len(order))
        self._order, self._facts, self._new, self._asked = order, facts, tensors.rows, tensors.asked
        self._layouts, self._values, self._storages, self._origin = layouts, values, storages, origin

    def _build(self, place: int) -> TensorState:
        state = self._order[place]
        if state < 0:
            tensor = counter = -1 - state
            facts, node = self._new[tensor * TENSOR + FACTS], self._new[tensor * TENSOR + NODE]
            offset, version, base = 0, 0, -1
            node = node + self._origin if node >= 0 else -1
        else:
            begin = state * _WIDTH
            tensor, _, counter, offset, facts, version, node, base, _ = self._facts[begin : begin + _WIDTH]
        storage, creation = self._storage(state), facts >> _CREATION & 7
        return _tensor_state(  # type: ignore[no-any-return]
            tensor,
            None if storage < 0 else storage,
            None if counter < 0 else counter,
            offset,
            self._layouts[facts >> LAYOUT],
            None if version < 0 else version,
            facts & REQUIRES_GRAD != 0,
            facts & _LEAF != 0,
            None if node < 0 else node,
            None if base < 0 else base,
            "inference" if facts & _INFERENCE else creation_name(creation - 1) if creation else None,
            self._values.get(StateId(state)),
        )

    def _storage(self, state: int) -> int:
        if state < 0:
            return self._storages[self._asked.get(-1 - state, state)]  # where nobody asked it is under this very number
        storage = self._facts[state * _WIDTH + 1]
        return storage if storage < 0 else self._storages[storage]

    def _column(self, field: str) -> array[int]:
        order, facts, new = self._order, self._facts, self._new
        if field == "storage":
            return _packed(map(self._storage, order))
        if field in _FLAGS:
            old, fresh, flag = facts[4::_WIDTH], new[FACTS::TENSOR], _FLAGS[field]
            return _packed([((fresh[-1 - state] if state < 0 else old[state]) & flag) // flag for state in order])
        if field == "node":
            old, fresh, origin = facts[_NODE::_WIDTH], new[NODE::TENSOR], self._origin
            made = [fresh[-1 - state] if state < 0 else old[state] for state in order]
            numbers = zip(order, made, strict=True)
            return array("q", [NOTHING if n < 0 else n + origin if state < 0 else n for state, n in numbers])
        known = facts[_FIELDS[field] :: _WIDTH]  # the tensor is also the counter of a new one
        return _packed([-1 - state if state < 0 else known[state] for state in order])


def _packed(values: Iterable[int]) -> array[int]:
    found = array("i", values)
    return array("i", [NOTHING if value < 0 else value for value in found]) if -1 in found else found

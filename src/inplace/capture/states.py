"""The states in which tensors were seen, in rows of integers, where -1 stands for nothing."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import chain
from struct import Struct
from typing import Any

from inplace.capture.layouts import LAYOUT, Layouts
from inplace.capture.reading import creation_name
from inplace.capture.tensors import FACTS, NODE, NONE, TENSOR, Tensors, first_state
from inplace.capture.twins import open_twin
from inplace.model import CounterId, StateId, StorageId, TensorId, TensorState

_OpenState = open_twin(TensorState)
# Integers a state: tensor, storage, counter, offset, packed facts, version, node, base, tensors met by then.
_WIDTH = 9
_VERSION = 5
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
        """Note a state; `flags` are those of `reading.autograd_of`, with `creation_flag` added for a view."""
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

    def facts(self, state: StateId) -> int:
        """The packed facts of a state: autograd's flags, creation and layout."""
        return self._tensors.fact(first_state(state), FACTS) if state < 0 else self._facts[state * _WIDTH + 4]

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

    # ------------------------------------------------------------ freezing

    def frozen(self, storages: Sequence[int], origin: int) -> tuple[list[TensorState], array[int]]:
        """The states as plain values, in the order in which they were noted, and their places in it, by id.

        Args:
            storages: the places of the storages, as `Storages.frozen` gives them.
            origin: the number from which the nodes of new tensors count.
        """
        found: list[TensorState] = []
        layouts, values = self.layouts.known, self.values.get
        places = array("i", bytes(4 * (len(self._facts) // _WIDTH + self._tensors.count)))
        for state, row in self._in_order(storages, origin):
            tensor, storage, counter, offset, facts, version, node, base, _ = row
            places[state] = len(found)
            creation = facts >> _CREATION & 7
            one = _OpenState(
                tensor,
                None if storage < 0 else storage,
                None if counter < 0 else counter,
                offset,
                layouts[facts >> LAYOUT],
                None if version < 0 else version,
                facts & 1 == 1,
                facts & 2 == 2,  # noqa: PLR2004 - a flag
                None if node < 0 else node,
                None if base < 0 else base,
                "inference" if facts & 4 else creation_name(creation - 1) if creation else None,
                values(state),
            )
            one.__class__ = TensorState
            found.append(one)
        return found, places

    def _in_order(self, storages: Sequence[int], origin: int) -> Iterator[tuple[StateId, tuple[int, ...]]]:
        """Each state's id and row: the first ones of new tensors among the others."""
        tensors, asked = self._tensors, self._tensors.asked.get
        all_facts, nodes = tensors.rows[FACTS::TENSOR], tensors.rows[NODE::TENSOR]
        met = 0
        end = (*[0] * (_WIDTH - 1), tensors.count)
        for number, row in enumerate(chain(zip(*[iter(self._facts)] * _WIDTH, strict=True), [end])):
            for tensor in range(met, row[-1]):
                if all_facts[tensor] != NONE:
                    node, storage = nodes[tensor], storages[asked(tensor, -1 - tensor)]
                    node = node + origin if node >= 0 else -1
                    yield StateId(-1 - tensor), (tensor, storage, tensor, 0, all_facts[tensor], 0, node, -1, 0)
            met = row[-1]
            if row is not end:
                storage = row[1]
                yield StateId(number), row if storage < 0 else (row[0], storages[storage], *row[2:])

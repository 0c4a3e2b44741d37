"""The states in which tensors were seen, in rows of integers, where -1 stands for nothing."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import chain
from struct import Struct
from typing import Any

from inplace.capture.layouts import LAYOUT, Layouts
from inplace.capture.reading import creation_name
from inplace.capture.tensors import FACTS, NODE, TENSOR, Tensors, first_state
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
        rows, asked, values = self._tensors.rows, self._tensors.asked, self.values.get
        places = array("i", bytes(rows.itemsize * (len(self._facts) // _WIDTH + self._tensors.count)))
        new = self._tensors.new()
        new.reverse()
        noted = zip(*[iter(self._facts)] * _WIDTH, strict=True)
        for number, (*row, met) in enumerate(chain(noted, [[*[0] * (_WIDTH - 1), self._tensors.count]])):
            while new and new[-1] < met:
                tensor = new.pop()
                places[first_state(tensor)] = len(found)
                node, facts = rows[tensor * TENSOR + NODE], rows[tensor * TENSOR + FACTS]
                storage, node = storages[asked.get(tensor, -1 - tensor)], node + origin if node >= 0 else -1
                first = (tensor, storage, tensor, 0, facts, 0, node, -1)
                found.append(self._state(first, values(first_state(tensor))))
            if number * _WIDTH < len(self._facts):
                places[number] = len(found)
                if row[1] >= 0:
                    row[1] = storages[row[1]]
                found.append(self._state(row, values(StateId(number))))
        return found, places

    def _state(self, row: Sequence[int], values: tuple[Any, ...] | None) -> TensorState:
        tensor, storage, counter, offset, facts, version, node, base = row
        creation = facts >> _CREATION & 7
        state = _OpenState(
            tensor,
            None if storage < 0 else storage,
            None if counter < 0 else counter,
            offset,
            self.layouts.known[facts >> LAYOUT],
            None if version < 0 else version,
            facts & 1 == 1,
            facts & 2 == 2,  # noqa: PLR2004 - a flag
            None if node < 0 else node,
            None if base < 0 else base,
            "inference" if facts & 4 else creation_name(creation - 1) if creation else None,
            values,
        )
        state.__class__ = TensorState
        return state  # type: ignore[no-any-return]

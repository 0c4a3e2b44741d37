"""Live storages -> ids that are never given out twice.

A storage is known by a weak reference, which tells of its death: from then on the address of its `StorageImpl` stands
for whichever storage is met there next. Deaths are noted before any storage is looked up.

NOTE [ Storages nobody has asked for ]
To ask for a storage and to take its address costs as much as all else that is noted of a tensor, and most are never
seen again. So what a call that makes new memory gives out is known by the address of its memory at first: while its
tensor lives, no other storage begins there. The storage is asked for when somebody meets it another way, and before
any call that may move the memory, or keep an alias of it that we aren't shown. After its tensor's death only the node
that gave it out may still keep it.
What is known of it is in the tensor's reference and row; see NOTE [ New tensors ].

NOTE [ Met lately ]
Whose bytes are those that others own is asked of what was met lately one by one, of all else through a `Memory`. So
what a loop makes and drops between two arrays that it takes is never told to that.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from struct import Struct
from typing import Any

import torch

from inplace.capture.tables.layouts import LAYOUT, Layouts
from inplace.capture.tables.memory import Memory, Owner
from inplace.capture.tables.numbers import Numbers
from inplace.capture.tables.refs import LiveStorage, SecondStorage, TensorRef
from inplace.capture.tables.tensors import FACTS, FIRST, LAST, NO_STEP, NONE, TENSOR, Tensors, in_order, places_in
from inplace.facts.model import Storage, StorageId
from inplace.facts.rows import Table

LATELY = 64
"""Tensors, and storages, that are looked at one by one when it is asked whose some bytes are."""
TOO_MANY = object()
"""Told where more of them live."""

_MOST = 512  # tensors and storages, from which on those that have died are let go of
_ALIVE = NO_STEP  # the last step of a storage that did not die
_FACTS = 5  # integers a storage
_DEVICE, _EXTERNAL, _BORN, _LAST, _TENSOR = range(_FACTS)  # whether others own it, first and last step, its tensor
_storage: Any = Storage  # given integers that are ids
_row = Struct(f"{_FACTS}i").pack


def is_external(storage: torch.UntypedStorage) -> bool:
    """Whether others own the memory of a storage, who can write it without PyTorch.

    Memory that another process may write is as good as somebody else's; on a GPU all of it counts as shared.
    """
    return not storage.resizable() or (storage.device.type == "cpu" and storage.is_shared())


def pointer_of(storage: Any) -> int:
    """Where the bytes of a storage begin; 0 for one that has none of its own, as that of a distributed tensor."""
    try:
        return int(storage.data_ptr())
    except RuntimeError:
        return 0


class Storages:
    """Gives out storage ids.

    Args:
        tensors: the tensors met.
        layouts: their layouts.
        refs: what is known of each live tensor, by its `id`.

    Attributes:
        sizes: the bytes of each storage, by id.
        allocated: the bytes that each storage had when a call gave it out, 0 for one that was met as an argument.
        external: storages met since somebody last took them from here, whose memory others own.
        live: the storages that were asked for, by the address of their `StorageImpl`.
        unasked: the tensors whose storages were not, dead ones too, by the address of their memory.
        dead: those that have died since the last `bury`; they have to be buried before `live` is asked.
        owners: what tells a `Memory` of some storages and of the tensors met since one (`place`), and asks it
            (`owner_of`), where that was compiled.
    """

    owners: Any = None

    def __init__(self, tensors: Tensors, layouts: Layouts, refs: dict[int, TensorRef]) -> None:
        self.sizes = array("q")
        self.allocated = array("q")
        self.external: list[LiveStorage] = []
        self.live: dict[int, LiveStorage] = {}
        self.unasked: dict[int, TensorRef] = {}
        self.dead: list[LiveStorage | SecondStorage] = []
        self._died = self.dead.append  # runs no Python of ours while the user's code runs
        self._tensors, self._layouts, self._refs = tensors, layouts, refs
        self._facts = array("i")
        self._devices: Numbers[torch.device] = Numbers()
        self._most = _MOST  # of those not asked for, until those that have died are let go of
        self._seconds: dict[int, SecondStorage] = {}  # by the address of the `StorageImpl`, too
        self._memory = Memory(self._size_of)
        self._unplaced: list[LiveStorage] = []  # storages that `_memory` has yet to be told of
        self._placed = 0  # tensors that it was told of
        self._limit = _MOST

    def bury(self) -> None:
        """Forget the storages that have died."""
        dead, known = self.dead, self.live
        while dead:
            ref = dead.pop()
            known.pop(ref.key, None)
            self._seconds.pop(ref.key, None)
            ref.live.impls -= 1
            ref.key = 0

    def close(self) -> None:
        """Let go of everything that is known of live tensors and storages, without waiting for a cyclic collection."""
        for live in self.live.values():
            live.refs.clear()
        self._memory = Memory(lambda _: 0)  # by which nobody reaches these tables
        self.live.clear()
        self.unasked.clear()
        self.dead.clear()
        self._seconds.clear()
        self._unplaced.clear()

    def find(self, storage: Any, node: int | None = None) -> LiveStorage | None:
        """What is known of a storage, None if it was not met; `node` is the autograd node that has saved it, if any."""
        if self.dead:
            self.bury()
        live = self.live.get(storage._cdata)
        if live is None and self.unasked:
            ref = self.unasked.get(pointer_of(storage))
            if ref is not None:
                tensor = ref()
                # One that is alive may have been moved elsewhere by a `set_`, which no mode sees.
                if ref.node == node if tensor is None else tensor.data_ptr() == ref.pointer:
                    return self._ask(ref, storage)
        return live

    def ask(self, tensor: torch.Tensor, ref: TensorRef) -> None:
        """Ask for the storage of a tensor, if nobody has."""
        if ref.live is None and self.unasked.get(ref.pointer) is ref:
            self._ask(ref, tensor.untyped_storage())

    def _ask(self, ref: TensorRef, storage: Any) -> LiveStorage:
        del self.unasked[ref.pointer]
        first, last = self._tensors.fact(ref.tensor, FIRST), self._tensors.fact(ref.tensor, LAST)
        size, lives = storage.nbytes(), ref() is not None
        live = self._add(storage, ref.pointer, size, storage.device, (0, first, _ALIVE if lives else last, ref.tensor))
        self.allocated[live.id] = size
        if lives:
            live.refs[ref.tensor] = ref
        ref.live = live
        self._tensors.asked[ref.tensor] = live.id
        return live

    def meet(self, tensor: torch.Tensor, step: int) -> tuple[LiveStorage, bool]:
        """The storage behind a tensor, and whether it is a second one over bytes known already."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        live = self.find(storage)
        if live is None:
            live = self.new(storage, key, tensor, step)
        elif live.key == key and live.pointer != pointer_of(storage):  # `resize_` and `share_memory_` move the memory
            live.pointer = pointer_of(storage)
            self.sizes[live.id] = storage.nbytes()
            self._unplaced.append(live)
        return live, live.key != key

    def leave(self, ref: TensorRef, step: int) -> None:
        """One recorded tensor less reaches a storage; autograd may still hold it."""
        live = ref.live
        if live is None:
            if self.unasked.get(ref.pointer) is ref:
                self._leave_unasked(ref, step)
            return
        live.refs.pop(ref.tensor, None)
        if not live.refs:
            self._facts[live.id * _FACTS + _LAST] = step

    def drop(self, ref: TensorRef) -> None:
        """Forget a dead tensor that no node has given out, and that has kept its storage to itself: nobody has that."""
        if self.unasked.get(ref.pointer) is ref:
            del self.unasked[ref.pointer]

    def _leave_unasked(self, ref: TensorRef, step: int) -> None:
        """A tensor has moved away from a storage that nobody has asked for, and now nobody can."""
        del self.unasked[ref.pointer]
        layout = self._tensors.fact(ref.tensor, FACTS) >> LAYOUT
        first, device = self._tensors.fact(ref.tensor, FIRST), torch.device(self._layouts.known[layout].device)
        found = self._row(self._layouts.sizes[layout], device, (0, first, step, ref.tensor))
        self.allocated[found] = self.sizes[found]
        self._tensors.asked[ref.tensor] = found

    def is_external(self, live: LiveStorage) -> bool:
        """Whether others owned the memory of a storage when it was met."""
        return self._facts[live.id * _FACTS + _EXTERNAL] != 0

    def frozen(self) -> tuple[StorageRows, array[int]]:
        """The storages in the order in which they were met, and their places in it.

        The places are by id; that of a storage which was not asked for is at minus one minus the number of its tensor.
        """
        asked, tensors = self._tensors.asked, self._tensors.rows[FACTS::TENSOR]
        new = [tensor for tensor, facts in enumerate(tensors) if facts != NONE and tensor not in asked]
        others = sorted((met, number) for number, met in enumerate(self._facts[_TENSOR::_FACTS]))
        order = in_order(new, [(number, met) for met, number in others])
        for live in self.live.values():
            if live.refs:  # they did not die
                self._facts[live.id * _FACTS + _LAST] = _ALIVE
        devices = [str(one) for one in self._devices.values]
        rows = StorageRows(order, self._facts, self.sizes, self._tensors.rows, self._layouts, devices)
        return rows, places_in(order, len(self.sizes) + self._tensors.count)

    def allocations(self, calls: int) -> array[int]:
        """Bytes of the storages that each of so many calls gave out first."""
        found = array("q", bytes(8 * (calls + 1)))  # one that a fault of ours has cut off may have none of the rows
        for number, size in enumerate(self.allocated):
            if size:
                found[self._facts[number * _FACTS + _BORN]] += size
        rows, asked, sizes = self._tensors.rows, self._tensors.asked, self._layouts.sizes
        for tensor, (step, facts) in enumerate(zip(rows[FIRST::TENSOR], rows[FACTS::TENSOR], strict=True)):
            if facts != NONE and tensor not in asked:
                found[step] += sizes[facts >> LAYOUT]
        return found

    def new(self, storage: Any, key: int, tensor: torch.Tensor, step: int, *, is_output: bool = False) -> LiveStorage:
        """Meet a storage."""
        pointer, size = pointer_of(storage), storage.nbytes()
        external = is_external(storage)
        if external and (twin := self._same_memory(pointer, size)) is not None:
            # from_numpy(t.numpy()) is a second StorageImpl over the bytes of the first: show what is true of the bytes.
            self._add_second(storage, key, pointer, size, twin)
            return twin
        live = self._add(storage, pointer, size, tensor.device, (external, step, _ALIVE, self._tensors.count))
        if is_output:
            self.allocated[live.id] = size
        if external:
            self.external.append(live)
        return live

    def _add(
        self, storage: Any, pointer: int, size: int, device: torch.device, facts: tuple[int, int, int, int]
    ) -> LiveStorage:
        if self.dead:
            self.bury()
        live = LiveStorage(storage, self._died)
        live.id, live.key, live.pointer = self._row(size, device, facts), storage._cdata, pointer
        live.impls, live.refs, live.split = 1, {}, False
        self.live[live.key] = live
        self.unplaced(live)
        return live

    def unplaced(self, live: LiveStorage) -> None:
        """Nobody has looked yet where the bytes of a storage are."""
        self._unplaced.append(live)
        if len(self._unplaced) > self._limit:
            self._unplaced[:] = [one for one in self._unplaced if one() is not None]
            self._limit = 2 * len(self._unplaced) + _MOST

    def _add_second(self, storage: Any, key: int, pointer: int, size: int, live: LiveStorage) -> None:
        second = SecondStorage(storage, self._died)
        second.key, second.pointer, second.live, second.size = key, pointer, live, size
        live.impls += 1
        self.live[key] = live
        self._seconds[key] = second
        self._memory.add(pointer, size, second)

    def _row(self, size: int, device: torch.device, facts: tuple[int, int, int, int]) -> StorageId:
        found = StorageId(len(self.sizes))
        self.sizes.append(size)
        self.allocated.append(0)
        self._facts.frombytes(_row(self._devices.of(device), *facts))
        return found

    def forget_dead(self) -> None:
        """Forget the tensors that have died and whose storages nobody has asked for, if they are many."""
        unasked = self.unasked
        if len(unasked) > self._most:
            for one in [one for one in unasked.values() if one() is None]:
                del unasked[one.pointer]
            self._most = 2 * len(unasked) + _MOST

    def _same_memory(self, pointer: int, size: int) -> LiveStorage | None:
        """The storage that was known of some bytes before."""
        owner = self._lately(pointer, size)
        if owner is TOO_MANY:
            self._place()
            owner = None
        if owner is None and self.owners is not None:
            owner = self.owners.owner_of(self._memory, pointer, size)
        elif owner is None:
            owner = self._memory.owner_of(pointer, size)
        if not isinstance(owner, TensorRef):
            return None if owner is None else owner.live
        tensor = owner()
        if tensor is not None:
            self.ask(tensor, owner)
        return owner.live

    def _lately(self, pointer: int, size: int) -> Any:
        """Who of those that `_memory` was not told of has some bytes; None for nobody, TOO_MANY if more live."""
        if not pointer or not size:
            return None
        if len(self._unplaced) > LATELY:
            self._unplaced[:] = [one for one in self._unplaced if one() is not None]
            if len(self._unplaced) > LATELY:
                return TOO_MANY
        for count, ref in enumerate(reversed(self._refs.values())):  # which tensors enter in the order of their ids
            if ref.tensor < self._placed:
                break
            if count == LATELY:
                return TOO_MANY
            if ref.live is None and self._memory.holds(ref, pointer, size):
                return ref
        return next((one for one in self._unplaced if self._memory.holds(one, pointer, size)), None)

    def _size_of(self, owner: Owner) -> int:
        """The bytes that an owner has at its pointer; a tensor has none where somebody has asked for its storage."""
        if isinstance(owner, SecondStorage):
            return owner.size
        if isinstance(owner, LiveStorage):
            return self.sizes[owner.id]
        if owner.live is not None or self.unasked.get(owner.pointer) is not owner:
            return 0
        return self._layouts.sizes[self._tensors.fact(owner.tensor, FACTS) >> LAYOUT]

    def _place(self) -> None:
        """Tell where the bytes are of what was met since the last time: each is looked at once, and nobody hurries."""
        placed, self._placed = self._placed, self._tensors.count
        if self.owners is not None:
            self.owners.place(self._memory, self._unplaced, placed)
            self._unplaced.clear()
            return
        for live in self._unplaced:
            if live() is not None:
                self._memory.add(live.pointer, self.sizes[live.id], live)
        self._unplaced.clear()
        for ref in reversed(self._refs.values()):  # which tensors enter in the order of their ids
            if ref.tensor < placed:
                break
            if ref.live is None:
                self._memory.add(ref.pointer, self._size_of(ref), ref)


class StorageRows(Table[Storage]):
    """The storages of a trace; see `Storages.frozen`. `order` holds their ids, negative for those never asked for."""

    def __init__(
        self,
        order: array[int],
        facts: array[int],
        sizes: array[int],
        tensors: array[int],
        layouts: Layouts,
        devices: Sequence[str],
    ) -> None:
        super().__init__(len(order))
        self._order, self._facts, self._sizes, self._new = order, facts, sizes, tensors
        self._layouts, self._devices = layouts, devices

    def _build(self, place: int) -> Storage:
        number = self._order[place]
        if number < 0:
            begin = (-1 - number) * TENSOR
            layout, born, died = self._new[begin + FACTS] >> LAYOUT, self._new[begin + FIRST], self._new[begin + LAST]
            size, device, external = self._layouts.sizes[layout], self._layouts.known[layout].device, 0
        else:
            size = self._sizes[number]
            at, external, born, died, _ = self._facts[number * _FACTS : (number + 1) * _FACTS]
            device = self._devices[at]
        return _storage(place, size, device, external != 0, born, None if died == _ALIVE else died)  # type: ignore[no-any-return]

    def _column(self, field: str) -> array[int]:
        if field == "bytes":
            facts, sizes, known = self._new[FACTS::TENSOR], self._layouts.sizes, self._sizes
            return array("q", [sizes[facts[-1 - n] >> LAYOUT] if n < 0 else known[n] for n in self._order])
        at_new, at = {"born": (FIRST, _BORN), "died": (LAST, _LAST)}[field]
        new, known = self._new[at_new::TENSOR], self._facts[at::_FACTS]
        return array("i", [new[-1 - number] if number < 0 else known[number] for number in self._order])

"""Live storages -> ids that are never given out twice.

A storage is known by a weak reference of PyTorch's own: it keeps the address of the `StorageImpl` taken, so that the
key can't be given to another storage, while the memory itself is freed on time.
"""

from __future__ import annotations

from array import array
from struct import Struct
from typing import Any

import torch

from inplace.capture.twins import open_twin
from inplace.model import Storage, StorageId

_OpenStorage = open_twin(Storage)
_IDLE = 512  # storages without a recorded tensor, from which on those that have died are let go of
_ALIVE = -2  # the last step of a storage that did not die; -1 is before the first call
_FREED = 0  # the key of a storage that has been let go of
_FACTS = 4  # integers a storage: device, whether others own the memory, first and last step
_row = Struct(f"{_FACTS}i").pack
_expired: Any = torch.UntypedStorage._expired  # type: ignore[attr-defined]
_free: Any = torch.UntypedStorage._free_weak_ref  # type: ignore[attr-defined]


class LiveStorage:
    """A storage that may still be alive: `users` counts the recorded tensors that reach it."""

    __slots__ = ("id", "key", "pointer", "users")

    id: StorageId
    key: int
    pointer: int
    users: int


class Storages:
    """Gives out storage ids.

    Attributes:
        sizes: the bytes of each storage, by id.
        allocated: the bytes that each storage had when a call gave it out, 0 for one that was met as an argument.
        external: ids of storages met since somebody last took them from here, whose memory others own.
    """

    def __init__(self) -> None:
        self.sizes = array("q")
        self.allocated = array("q")
        self.external: list[StorageId] = []
        self.live: dict[int, LiveStorage] = {}
        self._facts = array("i")
        self._devices: dict[torch.device, int] = {}
        self._held: list[int] = []  # weak references to second storages over bytes known already
        self._idle: list[LiveStorage] = []
        self._limit = _IDLE

    def close(self) -> None:
        """Let go of the addresses."""
        for key in {live.key for live in self.live.values()}.union(self._held) - {_FREED}:
            _free(key)
        self.live.clear()
        self._held.clear()
        self._idle.clear()

    def known(self, key: int) -> LiveStorage | None:
        """The storage at the address of a `StorageImpl`, if it was met."""
        return self.live.get(key)

    def meet(self, tensor: torch.Tensor, step: int) -> tuple[LiveStorage, bool]:
        """The storage behind a tensor, and whether it is a second one over bytes known already."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        live = self.live.get(key)
        if live is None:
            live = self.new(storage, key, tensor, step)
        elif live.key == key and live.pointer != storage.data_ptr():  # `resize_` and `share_memory_` move the memory
            live.pointer = storage.data_ptr()
            self.sizes[live.id] = storage.nbytes()
        return live, live.key != key

    def leave(self, live: LiveStorage, step: int) -> None:
        """One recorded tensor less reaches a storage; autograd may still hold it."""
        live.users -= 1
        if live.users <= 0:
            self._facts[live.id * _FACTS + 3] = step
            self._idle.append(live)
            if len(self._idle) > self._limit:
                self._sweep()

    def frozen(self) -> tuple[Storage, ...]:
        """The storages met; those that still have users did not die."""
        used = {live.id for live in self.live.values() if live.users > 0}
        devices = [str(device) for device in self._devices]
        found = []
        columns = [iter(self._facts)] * _FACTS
        for number, (size, device, external, born, last) in enumerate(zip(self.sizes, *columns, strict=True)):
            died = None if last == _ALIVE or number in used else last
            storage = _OpenStorage(number, size, devices[device], external != 0, born, died)
            storage.__class__ = Storage
            found.append(storage)
        return tuple(found)

    def allocations(self) -> dict[int, int]:
        """Bytes of the storages that each call gave out first, by step."""
        found: dict[int, int] = {}
        for number, size in enumerate(self.allocated):
            if size:
                step = self._facts[number * _FACTS + 2]
                found[step] = found.get(step, 0) + size
        return found

    def new(self, storage: Any, key: int, tensor: torch.Tensor, step: int, *, is_output: bool = False) -> LiveStorage:
        """Meet a storage."""
        pointer, size = storage.data_ptr(), storage.nbytes()
        # Memory that another process may write is as good as somebody else's; on a GPU all of it counts as shared.
        external = not storage.resizable() or (tensor.is_cpu and storage.is_shared())
        if external and (twin := self._same_memory(pointer, size)) is not None:
            # from_numpy(t.numpy()) is a second StorageImpl over the bytes of the first: show what is true of the bytes.
            self.live[key] = twin
            self._held.append(storage._weak_ref())  # so that this address stays taken too
            return twin
        live = self.live[key] = LiveStorage()
        live.id, live.key, live.pointer, live.users = StorageId(len(self.sizes)), storage._weak_ref(), pointer, 0
        self.sizes.append(size)
        self.allocated.append(size if is_output else 0)
        device = tensor.device
        number = self._devices.get(device)
        if number is None:
            number = self._devices[device] = len(self._devices)
        self._facts.frombytes(_row(number, external, step, _ALIVE))
        if external:
            self.external.append(live.id)
        return live

    def _same_memory(self, pointer: int, size: int) -> LiveStorage | None:
        if not pointer:
            return None
        for live in self.live.values():
            start, stop = live.pointer, live.pointer + self.sizes[live.id]
            if start and start <= pointer and pointer + size <= stop and not _expired(live.key):
                return live
        return None

    def _sweep(self) -> None:
        """Let go of the addresses of storages that have died, so that a long loop does not collect them."""
        for live in self._idle:
            if live.users <= 0 and self.live.get(live.key) is live and _expired(live.key):
                del self.live[live.key]
                _free(live.key)
                live.key = _FREED
        self._idle = [live for live in self._idle if live.users <= 0 and self.live.get(live.key) is live]
        self._limit = 2 * len(self._idle) + _IDLE

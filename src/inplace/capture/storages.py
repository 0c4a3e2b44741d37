"""Live storages -> ids that are never given out twice.

A storage is known by a `StorageWeakRef`: it keeps the address of the `StorageImpl` taken, so that the key can't be
given to another storage, while the memory itself is freed on time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from inplace.model import Storage, StorageId

_IDLE = 512  # storages without a recorded tensor, from which on those that have died are let go of


class LiveStorage:
    """A storage that may still be alive: `users` counts the recorded tensors that reach it."""

    __slots__ = ("id", "key", "pointer", "ref", "users")

    def __init__(self, storage: StorageId, key: int, pointer: int, ref: StorageWeakRef) -> None:
        self.id = storage
        self.key = key
        self.pointer = pointer
        self.ref = ref
        self.users = 0


class Storages:
    """Gives out storage ids.

    Attributes:
        sizes: the bytes of each storage, by id.
        external: ids of storages met since somebody last took them from here, whose memory others own.
    """

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.external: list[StorageId] = []
        self._facts: list[tuple[str, bool, int]] = []
        self._deaths: dict[StorageId, int] = {}
        self._live: dict[int, LiveStorage] = {}
        self._by_id: dict[StorageId, LiveStorage] = {}
        self._twins: list[StorageWeakRef] = []
        self._idle: list[LiveStorage] = []
        self._limit = _IDLE

    def known(self, key: int) -> LiveStorage | None:
        """The storage at the address of a `StorageImpl`, if it was met."""
        return self._live.get(key)

    def pointer_of(self, storage: StorageId) -> int:
        """The address of a storage's memory; 0 for one that has gone."""
        live = self._by_id.get(storage)
        return live.pointer if live is not None else 0

    def meet(self, tensor: torch.Tensor, step: int) -> tuple[LiveStorage, bool]:
        """The storage behind a tensor, and whether it is a second one over bytes known already."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        live = self._live.get(key)
        if live is None:
            live = self._new(storage, key, tensor, step)
        elif live.key == key and live.pointer != storage.data_ptr():  # `resize_` and `share_memory_` move the memory
            live.pointer = storage.data_ptr()
            self.sizes[live.id] = storage.nbytes()
        return live, live.key != key

    def enter(self, storage: StorageId) -> None:
        """One more recorded tensor reaches a storage."""
        self._by_id[storage].users += 1

    def leave(self, storage: StorageId | None, step: int) -> None:
        """One recorded tensor less reaches a storage; autograd may still hold it."""
        live = self._by_id.get(storage) if storage is not None else None
        if live is None:
            return
        live.users -= 1
        if live.users <= 0:
            self._deaths[live.id] = step
            self._idle.append(live)
            if len(self._idle) > self._limit:
                self._sweep()

    def frozen(self) -> tuple[Storage, ...]:
        """The storages met; those that still have users did not die."""
        return tuple(
            Storage(StorageId(number), self.sizes[number], device, external, born, self._death(StorageId(number)))
            for number, (device, external, born) in enumerate(self._facts)
        )

    def _death(self, storage: StorageId) -> int | None:
        live = self._by_id.get(storage)
        return None if live is not None and live.users > 0 else self._deaths.get(storage)

    def _new(self, storage: Any, key: int, tensor: torch.Tensor, step: int) -> LiveStorage:
        pointer, size = storage.data_ptr(), storage.nbytes()
        external = not storage.resizable()
        if external and (twin := self._same_memory(pointer, size)) is not None:
            # from_numpy(t.numpy()) is a second StorageImpl over the bytes of the first: show what is true of the bytes.
            self._live[key] = twin
            self._twins.append(StorageWeakRef(storage))  # so that this address stays taken too
            return twin
        live = LiveStorage(StorageId(len(self.sizes)), key, pointer, StorageWeakRef(storage))
        self._live[key] = self._by_id[live.id] = live
        self.sizes.append(size)
        self._facts.append((str(tensor.device), external, step))
        if external:
            self.external.append(live.id)
        return live

    def _same_memory(self, pointer: int, size: int) -> LiveStorage | None:
        if not pointer:
            return None
        for live in self._by_id.values():
            start, stop = live.pointer, live.pointer + self.sizes[live.id]
            if start and start <= pointer and pointer + size <= stop and not live.ref.expired():
                return live
        return None

    def _sweep(self) -> None:
        """Let go of the addresses of storages that have died, so that a long loop does not collect them."""
        for live in self._idle:
            if live.users <= 0 and live.id in self._by_id and live.ref.expired():
                del self._live[live.key], self._by_id[live.id]
        self._idle = [live for live in self._idle if live.users <= 0 and live.id in self._by_id]
        self._limit = 2 * len(self._idle) + _IDLE

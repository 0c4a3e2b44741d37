"""Storages that others can write: notices when their bytes changed though no recorded call wrote them.

NOTE [ Lines that no call shows ]
`array *= 0` on a numpy array that shares a tensor's memory is not a call of PyTorch. While such an array may exist, the
bytes are compared before and after every recorded call and at every line of the user's code, so that the line that
changed them is known. Lines come from `sys.settrace`, which is left alone where somebody else (a debugger, a coverage
tool) already uses it, and given back when the recording ends or nothing has changed for many lines.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch

from inplace.capture.bytes.foreign_memory import ForeignMemory
from inplace.capture.code.stacks import Stacks
from inplace.capture.patches.ledger import Ledger, LinesTraced
from inplace.capture.tables.refs import TensorRef
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.facts.model import StorageId

_WHOLE = 1 << 16  # bytes of a storage that are kept to compare; a larger one is compared by checksum
_LARGEST = 1 << 22  # bytes beyond which a storage is not watched at each line
_LINES = 20_000  # line events after which tracing stops
_LOOKS = 5_000


def _nobody() -> None:
    """What a weak reference gives whose tensor has died."""


class _Watched:
    __slots__ = ("contents", "ref", "seen", "storage")

    def __init__(self, storage: StorageId, ref: TensorRef, seen: TensorsSeen) -> None:
        self.storage, self.seen = storage, seen
        self.ref: Callable[[], Any] = ref
        self.contents: bytes | int | None = None

    def read(self, memory: ForeignMemory) -> bytes | int | None:
        """The contents now, None where no recorded tensor reaches them any more, or nobody may read them."""
        tensor = self.ref()
        if tensor is None:
            tensor = self.seen.over(self.storage)
            found = self.seen.ref_of(tensor) if tensor is not None else None
            if tensor is None or found is None:
                return None
            self.ref = found
        storage = tensor.untyped_storage()
        size, pointer = storage.nbytes(), storage.data_ptr()
        if not pointer or not size or storage.device.type != "cpu":
            return None
        block = memory.read(pointer, size)
        if block is None:
            return None
        return bytes(block) if size <= _WHOLE else zlib.crc32(block)


class Contents:
    """Watches the exported storages of one recording.

    Args:
        seen: where tensors get their ids.
        stacks: where the user's stacks get theirs.
        ledger: where our tracer of lines is noted, and undone.

    Attributes:
        watched: the storages that are compared, by id.
        changes: (storage, last step before, stack or None, first byte, byte after the last) of each change found.
    """

    def __init__(self, seen: TensorsSeen, stacks: Stacks, ledger: Ledger) -> None:
        self.changes: list[tuple[StorageId, int, int | None, int, int]] = []
        self._seen, self._stacks, self._ledger, self._memory = seen, stacks, ledger, ForeignMemory()
        self.watched: dict[StorageId, _Watched] = {}
        self._line: int | None = None
        self._lines = self._looks = 0
        self._tracer: LinesTraced | None = None

    def watch(self, tensor: torch.Tensor) -> None:
        """Begin to watch the storage behind `tensor`, a tensor seen before."""
        ref = self._seen.ref_of(tensor)
        if ref is None or ref.storage is None or tensor.device.type != "cpu":
            return
        if self._seen.storages.sizes[ref.storage] > _LARGEST:
            return
        watched = self.watched[ref.storage] = _Watched(ref.storage, ref, self._seen)
        watched.contents = watched.read(self._memory)
        self._begin_lines()

    def forget(self, tensor: torch.Tensor) -> None:
        """Hold no weak reference to a tensor any more."""
        for watched in self.watched.values():
            if watched.ref() is tensor:
                watched.ref = _nobody

    def look(self, step: int) -> None:
        """Note what changed since the last look; `step` is the next call's."""
        self._looks += 1
        for watched in list(self.watched.values()):
            now = watched.read(self._memory)
            if now is None:
                del self.watched[watched.storage]
            elif now != watched.contents:
                self._changed(watched, now, step)
        if self._looks > _LOOKS:
            self.watched.clear()

    def settle(self) -> None:
        """Take the present contents as known: a recorded call has just run."""
        for watched in self.watched.values():
            watched.contents = watched.read(self._memory)

    def _changed(self, watched: _Watched, now: bytes | int, step: int) -> None:
        start, stop = 0, self._seen.storages.sizes[watched.storage]
        old = watched.contents
        if isinstance(old, bytes) and isinstance(now, bytes) and len(old) == len(now):
            differing = [number for number, (one, two) in enumerate(zip(old, now, strict=True)) if one != two]
            start, stop = differing[0], differing[-1] + 1
        watched.contents = now
        self.changes.append((watched.storage, step - 1, self._line, start, stop))

    # ------------------------------------------------------------ lines

    def _begin_lines(self) -> None:
        if self._tracer is not None or sys.gettrace() is not None or self._lines > _LINES:
            return
        if self._line is None:
            self._line = self._stacks.key_of_line(sys._getframe(1))
        self._tracer = LinesTraced(self._on_call, self._on_line, lambda frame: self._stacks.is_user(frame.f_code))
        self._ledger.make(self._tracer)

    def _end_lines(self) -> None:
        if self._tracer is not None:
            self._ledger.undo_early(self._tracer)
        self._tracer = None

    def _on_call(self, frame: FrameType, event: str, argument: Any) -> Any:
        tracer = self._tracer
        return tracer.on_line if tracer is not None and self._stacks.is_user(frame.f_code) else None

    def _on_line(self, frame: FrameType, event: str, argument: Any) -> Any:
        tracer = self._tracer
        if tracer is None or event not in {"line", "return"}:
            return tracer.on_line if tracer is not None else None
        try:
            self._lines += 1
            if self._lines > _LINES or not self.watched:
                self._end_lines()
                return None
            with torch._C.DisableTorchFunction():  # our own reads must not arrive at the mode
                self.look(self._seen.step + 1)
            self._line = self._stacks.key_of_line(frame.f_back if event == "return" else frame)
        except Exception:  # a fault in a tracer would surface in the user's line
            self._end_lines()
            return None
        return tracer.on_line

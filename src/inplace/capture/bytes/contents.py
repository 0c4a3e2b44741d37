"""Storages that others can write: notices when their bytes changed though no recorded call wrote them.

NOTE [ Lines that no call shows ]
`array *= 0` on a numpy array that shares a tensor's memory is not a call of PyTorch. While such an array may exist, the
bytes are compared before and after every recorded call and at every line of the user's code, so that the line that
changed them is known. Lines come from `sys.settrace`, which is left alone where somebody else (a debugger, a coverage
tool) already uses it, and given back when the recording ends or nothing has changed for many lines.

NOTE [ Storages that sleep ]
To compare bytes at every call and line takes time, so there is a bound on it. Beyond it they are compared before and
after the calls that take a tensor over them, before each backward and at the end: a save of theirs is made by such a
call, so it still is told whether they changed after it, but not on which line. There is a bound on that too.

NOTE [ Storages in flight ]
A collective that was begun writes until it is waited for. Its storages are compared around the calls that take them
meanwhile: a call that has found the bytes as they were, and behind which they are others, has read what was not there
yet, or saved what was overwritten. That is told as a change at the line that began the collective. Bytes that no call
has taken meanwhile changed as if the collective had written them at once. It may write between two looks of
ours as well: so one look decides, and bytes that it has found as they were are in flight still.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import torch

from inplace.capture.bytes.foreign_memory import ForeignMemory
from inplace.capture.bytes.readable import reach_of
from inplace.capture.bytes.shared_memory import SharedMemory
from inplace.capture.code.stacks import Stacks
from inplace.capture.left_out import LeftOut
from inplace.capture.patches.ledger import Ledger, LinesTraced
from inplace.capture.tables.refs import LiveStorage, TensorRef
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.facts.model import Look, StorageId

_WHOLE = 1 << 16  # bytes of a storage that are kept to compare; a larger one is compared by checksum
_LARGEST = 1 << 22  # bytes beyond which a storage is not watched
_LEAST = 1 << 15  # bytes that one comparison counts as at least
_AWAKE = 5_000 << 15  # bytes compared from which on storages sleep
_MOST = 1 << 32  # bytes compared in one recording
_LINES = 20_000  # line events after which tracing stops
_IDLE = 64  # storages that sleep, from which on those that have died are forgotten


is_as_it_was: Callable[[Any], bool] | None = None
"""Whether a small storage has the bytes that it had when it was compared last, compiled; None where it was not.

False as well where that can't be told without `Watched.read`.
"""
leave_out_unchanged: Callable[[list[Watched], int], tuple[list[Watched], int]] | None = None
"""The storages of which `is_as_it_was` doesn't hold, and of how many it does: the call that is told left those so."""

Change = tuple[StorageId, int, int, int | None, int, int, bool]


def _nobody() -> None:
    """What a weak reference gives whose tensor has died."""


class Watched:
    """One storage, and its contents when they were last compared: by then the call `after` was over.

    `stack` is the line that gave others access to it, None where that was no call's. Where it is in `flight`, which is
    what is written by then, `taken` says whether a call has found the bytes as they were.
    """

    __slots__ = ("after", "contents", "fixed", "flight", "live", "ref", "seen", "stack", "storage", "taken")

    def __init__(
        self, live: LiveStorage, ref: TensorRef, seen: TensorsSeen, stack: int | None, *, flight: bool = False
    ) -> None:
        self.storage, self.live, self.seen, self.stack = live.id, live, seen, stack
        self.flight, self.taken = flight, False
        self.ref: Callable[[], Any] = ref
        self.contents: bytes | int | None = None
        self.after = 0
        # Where the tensor begins, and the bytes of memory that PyTorch can't move: one question then tells them again.
        self.fixed = (0, 0, 0)

    def read(self, memory: ForeignMemory) -> bytes | int | None:
        """The contents now, None where no recorded tensor reaches them any more, or nobody may read them."""
        tensor = self.ref()
        if tensor is None:
            tensor = self.seen.over(self.live)
            found = self.seen.ref_of(tensor) if tensor is not None else None
            if tensor is None or found is None:
                return None
            self.ref = found
        place, pointer, size = self.fixed
        if not place or tensor.data_ptr() != place:
            storage = tensor.untyped_storage()
            pointer, size = reach_of(storage)
            if size and not storage.resizable():
                self.fixed = tensor.data_ptr(), pointer, size
        if not size:
            return None
        if size <= _WHOLE:
            return memory.copy(pointer, size)
        block = memory.read(pointer, size)
        return None if block is None else zlib.crc32(block)


class Contents:
    """Watches the exported storages of one recording.

    Args:
        seen: where tensors get their ids.
        stacks: where the user's stacks get theirs.
        ledger: where our tracer of lines is noted, and undone.
        left_out: where it is noted what was not compared.
        calls: tells how many calls have begun.

    Attributes:
        watched: the storages that are compared at each call and line, by id.
        asleep: those that are compared around the calls that take them; see NOTE [ Storages that sleep ].
        changes: (storage, last step before, first step after, stack or None, first byte, byte after the last, whether
            it was found in a sample) of each change found; see samples.py.
        shared: what is known of the shared memory that storages lie in.
        spent: the bytes that were compared.
        idle: as many sleep when those that have died are forgotten.
    """

    def __init__(
        self, seen: TensorsSeen, stacks: Stacks, ledger: Ledger, left_out: LeftOut, calls: Callable[[], int]
    ) -> None:
        self.changes: list[Change] = []
        self.watched: dict[StorageId, Watched] = {}
        self.asleep: dict[StorageId, Watched] = {}
        self._seen, self._stacks, self._ledger, self._left_out = seen, stacks, ledger, left_out
        self._calls = calls
        self._memory = ForeignMemory()
        self.shared = SharedMemory()
        self._line: int | None = None
        self._lines = 0
        self.spent = 0
        self.idle = _IDLE
        self._tracer: LinesTraced | None = None

    def watch(self, tensor: torch.Tensor, after: int, stack: int | None, *, since: int = 0) -> None:
        """Begin to watch the storage behind `tensor`, a tensor seen before, when the call `after` is over.

        Others have had its bytes from the call `since` on.
        """
        ref = self._seen.ref_of(tensor)
        size = self._seen.storages.sizes[ref.live.id] if ref is not None and ref.live is not None else 0
        if ref is None or ref.live is None or not size or tensor.is_meta:
            return
        on_cpu = tensor.is_cpu
        if on_cpu:
            self.shared.meet(ref.live, since)
        if not on_cpu or size > _LARGEST:
            self._leave_out(ref.live.id, _LARGEST if on_cpu else 0, after, stack)
            return
        watched = Watched(ref.live, ref, self._seen, stack)
        if self.spent > _MOST:
            self._leave_out(watched.storage, _MOST, after, stack)
        elif self.spent > _AWAKE:
            self._take(watched, after)
            self.sleep(watched)
        else:
            self._take(watched, after)
            self.watched[watched.storage] = watched
            self._begin_lines()

    def fly(self, tensor: torch.Tensor, after: int, stack: int) -> None:
        """The call `after`, made from `stack`, has begun to write a tensor; see NOTE [ Storages in flight ]."""
        ref = self._seen.ref_of(tensor)
        if ref is None or ref.live is None or tensor.device.type != "cpu" or self.spent > _MOST:
            return
        known = ref.live.id in self.watched or ref.live.id in self.asleep
        if not known and 0 < self._seen.storages.sizes[ref.live.id] <= _LARGEST:
            watched = self.asleep[ref.live.id] = Watched(ref.live, ref, self._seen, stack, flight=True)
            self._take(watched, after)

    def land(self, tensor: torch.Tensor, step: int) -> bool | None:
        """What was begun may have ended before the call `step`: whether that is told as a change of the bytes.

        None where the bytes are as they were, and in flight still.
        """
        ref = self._seen.ref_of(tensor)
        watched = self.asleep.get(ref.storage) if ref is not None and ref.storage is not None else None
        if watched is None or not watched.flight:
            return False
        self._compare(self.asleep, watched, step)
        return watched.taken if watched.storage not in self.asleep else None

    def end_flights(self) -> None:
        """All that was begun has been waited for."""
        for watched in [one for one in self.asleep.values() if one.flight]:
            del self.asleep[watched.storage]

    def forget(self, tensor: torch.Tensor) -> None:
        """Hold no weak reference to a tensor any more."""
        for watched in (*self.watched.values(), *self.asleep.values()):
            if watched.ref() is tensor:
                watched.ref = _nobody

    def stop(self) -> None:
        """Watch nothing any more."""
        self.watched.clear()
        self.asleep.clear()

    def end(self) -> None:
        """Watch nothing any more, and give the lines back at once."""
        self.stop()
        self._end_lines()

    def look(self, step: int) -> None:
        """Note what changed since the last look; `step` is the next call's."""
        for watched in list(self.watched.values()):
            watched.after = step - 1  # each call is looked at when it is over
            self._compare(self.watched, watched, step)
        if self.spent > _AWAKE:
            self.sleep(*self.watched.values())
            self.watched.clear()

    def settle(self, after: int) -> None:
        """Take the present contents as known: the recorded call `after` has just run."""
        for watched in self.watched.values():
            self._take(watched, after)

    def look_asleep(self, step: int) -> None:
        """Note what changed in storages that sleep; `step` is the next call's."""
        self._look_asleep(list(self.asleep.values()), step)

    def under(self, tensors: Iterable[torch.Tensor]) -> list[Watched]:
        """What sleeps under some tensors."""
        refs, asleep, found = self._seen.refs, self.asleep, {}
        for tensor in tensors:
            ref = refs.get(id(tensor))
            if ref is not None and ref.live is not None and (watched := asleep.get(ref.live.id)) is not None:
                found[watched.storage] = watched
        return list(found.values())

    def look_over(self, some: list[Watched], step: int) -> None:
        """The same for some of them, which are about to go into a call."""
        self._look_asleep(some, step)
        for watched in some:
            watched.taken = watched.flight  # by then the bytes were as they had been, or it is in flight no more

    def settle_over(self, some: list[Watched], after: int, *, changed: bool) -> None:
        """Take the present contents of those that sleep still as known: the recorded call `after` has just run.

        Where it is one that has `changed` none of its arguments, they are as they were before it.
        """
        for watched in some:
            if self.asleep.get(watched.storage) is not watched:
                continue
            if not watched.flight and not changed:
                watched.after = after
            elif not watched.flight:
                self._take(watched, after)
            elif self._read(watched) == watched.contents:
                watched.after = after
            else:  # it may have ended before the call came to the bytes
                del self.asleep[watched.storage]

    def _look_asleep(self, some: list[Watched], step: int) -> None:
        if leave_out_unchanged is not None:
            some, count = leave_out_unchanged(some, step - 1)
            self.spent += count * _LEAST
        for watched in some:
            if watched.live.refs:
                self._compare(self.asleep, watched, step)
            else:
                self.asleep.pop(watched.storage, None)
        if self.spent > _MOST:
            for watched in self.asleep.values():
                if watched.live.refs and not watched.flight:
                    self._leave_out(watched.storage, _MOST, step, watched.stack)
            self.asleep.clear()

    def sleep(self, *some: Watched) -> None:
        """Compare some storages around the calls that take them only."""
        for watched in some:
            self.asleep[watched.storage] = watched
        if len(self.asleep) > self.idle:
            for watched in list(self.asleep.values()):
                if not watched.live.refs:
                    del self.asleep[watched.storage]
            self.idle = 2 * len(self.asleep) + _IDLE

    def _leave_out(self, storage: StorageId, bound: int, step: int, stack: int | None) -> None:
        self._left_out.note(Look.CONTENTS, bound, step, stack=stack, storage=storage)

    # ------------------------------------------------------------ comparing

    def _take(self, watched: Watched, after: int) -> None:
        watched.contents, watched.after = self._read(watched), after

    def _read(self, watched: Watched) -> bytes | int | None:
        self.spent += max(self._seen.storages.sizes[watched.storage], _LEAST)
        return watched.read(self._memory)

    def _compare(self, among: dict[StorageId, Watched], watched: Watched, step: int) -> None:
        if is_as_it_was is not None and is_as_it_was(watched):
            self.spent += _LEAST
            watched.after = step - 1
            return
        now = self._read(watched)
        if now is None:
            del among[watched.storage]
        elif now != watched.contents:
            if not watched.flight or watched.taken:
                self._changed(watched, now, step)
            if watched.flight:
                del among[watched.storage]
                return
        watched.after = step - 1

    def _changed(self, watched: Watched, now: bytes | int, step: int) -> None:
        start, stop = 0, self._seen.storages.sizes[watched.storage]
        old = watched.contents
        if isinstance(old, bytes) and isinstance(now, bytes) and len(old) == len(now):
            differing = [number for number, (one, two) in enumerate(zip(old, now, strict=True)) if one != two]
            start, stop = differing[0], differing[-1] + 1
        watched.contents = now
        line = self._line if self._tracer is not None and self._tracer.is_made else None
        line = watched.stack if watched.flight else line
        if line is None:
            bound = _AWAKE if self.spent > _AWAKE else _LINES if self._lines > _LINES else 0
            self._left_out.note(Look.LINES, bound, step, storage=watched.storage)
        self.shared.look_for(watched.live)
        self.changes.append((watched.storage, watched.after, step, line, start, stop, False))

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
                self.look(self._calls())
            self._line = self._stacks.key_of_line(frame.f_back if event == "return" else frame)
        except Exception:  # a fault in a tracer would surface in the user's line
            self._end_lines()
            return None
        return tracer.on_line

"""Which shared memory a storage lies in, so that two processes can be told to have the same bytes.

NOTE [ Names of shared memory ]
However a tensor comes to be shared (`share_memory_()`, a queue, `multiprocessing.Array`, a mapped file), its bytes lie
in a mapping of the process. The kernel knows what that is a mapping of: the device and inode, which are the same in
every process that has it, and the offset in it. Linux tells of that in `/proc/self/maps`. It is read by functions of
the C library, since Python's `open` is seen by the audit hooks of others. To read it takes about a millisecond, so that
is done for the first few storages as they come, for one that was found changed, and once at the end for all that live.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from bisect import bisect_right
from collections.abc import Iterable
from functools import cache
from typing import Any

from inplace.capture.tables.refs import LiveStorage
from inplace.facts.model import StorageId

_AT_ONCE = 8  # storages that are looked for when they are met
_MOST = 256  # times that the maps are read
_KEPT = 512  # storages that wait to be looked for, from which on those that have died are let go of
_BLOCK = 1 << 16
_SHARED = re.compile(rb"^([0-9a-f]+)-([0-9a-f]+) ...s ([0-9a-f]+) ([0-9a-f]+:[0-9a-f]+) (\d+)", re.MULTILINE)


class SharedMemory:
    """Finds the shared memory that the storages of one recording lie in.

    Attributes:
        found: by the id of a storage what its memory is called, where in it, in bytes, the storage begins, and from
            which call on.
    """

    def __init__(self) -> None:
        self.found: dict[StorageId, tuple[str, int, int]] = {}
        self._since: dict[StorageId, int] = {}
        self._waiting: dict[StorageId, LiveStorage] = {}
        self._most = _KEPT
        self._reads = 0

    def meet(self, live: LiveStorage, since: int) -> None:
        """A storage of the CPU was met whose memory others own from the call `since` on."""
        self._waiting[live.id] = live
        self._since[live.id] = min(since, self._since.get(live.id, since))
        if self._reads < _AT_ONCE:
            self.look_for(live)
        elif len(self._waiting) > self._most:
            self._waiting = {number: one for number, one in self._waiting.items() if one() is not None}
            self._since = {number: one for number, one in self._since.items() if number in self._waiting}
            self._most = 2 * len(self._waiting) + _KEPT

    def look_for(self, live: LiveStorage) -> None:
        """Look for the memory of one storage, if nobody has."""
        if self._waiting.pop(live.id, None) is not None:
            self._look_for([live])

    def end(self, others: Iterable[LiveStorage]) -> None:
        """Look for the memory of all that live and were not looked for, and of `others`, which were just met."""
        waiting, self._waiting = self._waiting, {}
        self._look_for([*waiting.values(), *others])

    def _look_for(self, some: Iterable[LiveStorage]) -> None:
        living = [one for one in some if one() is not None]
        if not living or self._reads >= _MOST:
            return
        self._reads += 1
        mappings = _mappings()
        begins = [begin for begin, _, _, _ in mappings]
        for live in living:
            place = bisect_right(begins, live.pointer) - 1
            if place >= 0 and live.pointer < mappings[place][1]:
                begin, _, offset, memory = mappings[place]
                self.found[live.id] = memory, live.pointer - begin + offset, self._since.get(live.id, 0)


def _mappings() -> list[tuple[int, int, int, str]]:
    """The shared mappings of this process in order: first byte, byte after the last, offset, and of what."""
    return [
        (int(begin, 16), int(end, 16), int(offset, 16), f"{device.decode()}:{inode.decode()}")
        for begin, end, offset, device, inode in _SHARED.findall(_maps())
    ]


def _maps() -> bytes:
    """What Linux says of the mappings of this process; nothing where it is not Linux, or won't say."""
    functions = _functions()
    if functions is None:
        return b""
    opened, read, close = functions
    file = opened(b"/proc/self/maps", os.O_RDONLY | os.O_CLOEXEC)
    if file < 0:
        return b""
    try:
        room, found = ctypes.create_string_buffer(_BLOCK), []
        while (count := read(file, room, _BLOCK)) > 0:
            found.append(room.raw[:count])
        return b"".join(found)
    finally:
        close(file)


@cache
def _functions() -> tuple[Any, Any, Any] | None:
    """`open`, `read` and `close` of the C library; None where there are no such maps."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    opened, read, close = library.open, library.read, library.close
    opened.argtypes = (ctypes.c_char_p, ctypes.c_int)
    read.argtypes, read.restype = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t), ctypes.c_ssize_t
    close.argtypes = (ctypes.c_int,)
    return opened, read, close

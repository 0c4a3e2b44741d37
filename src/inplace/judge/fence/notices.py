"""System calls that wait for us: which, by whom, with what, and what we answer (seccomp's user notification)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from inplace.judge.fence.kernel import system_call

_RECEIVE, _SEND, _STILL_WAITS = 0xC0502100, 0xC0182101, 0x40082102  # SECCOMP_IOCTL_NOTIF_*
_NOTICE, _ANSWER = struct.Struct("=QII iIQ6Q"), struct.Struct("=QqiI")
_GO_ON = 1
_PATH_MAX = 4096
_PIDFD_OPEN, _PIDFD_GETFD = 434, 438  # on every architecture


@dataclass(frozen=True, slots=True)
class Notice:
    """A system call that waits: `name` with `arguments`, by a `thread` of a `process`."""

    ticket: int
    thread: int
    process: int
    name: str
    arguments: tuple[int, ...]

    def signed(self, argument: int) -> int:
        """An argument that the kernel reads as a signed number of 32 bits."""
        low = self.arguments[argument] & 0xFFFFFFFF
        return low - (1 << 32) if low & 1 << 31 else low

    def bytes_at(self, address: int, length: int) -> bytes:
        """What lies in the process's memory, as much of it as there is.

        Raises:
            OSError: if nothing is there.
        """
        memory = os.open(f"/proc/{self.thread}/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(memory, length, address)
        finally:
            os.close(memory)

    def text_at(self, argument: int) -> str | None:
        """The path that an argument points to, None for a null pointer."""
        address = self.arguments[argument]
        return None if address == 0 else os.fsdecode(self.bytes_at(address, _PATH_MAX).partition(b"\0")[0])

    def file_of(self, descriptor: int) -> int:
        """A descriptor of ours for an open file of the process.

        Raises:
            OSError: if there is none.
        """
        process = system_call(_PIDFD_OPEN, self.process, 0)
        try:
            return system_call(_PIDFD_GETFD, process, descriptor, 0)
        finally:
            os.close(process)


class Notices:
    """Receives notices and answers them."""

    def __init__(self, listener: int, numbers: Mapping[str, int]) -> None:
        self._listener = listener
        self._names = {number: name for name, number in numbers.items()}

    def next(self) -> Notice | None:
        """The next call that waits, None where its thread has ended meanwhile."""
        room = bytearray(_NOTICE.size)
        try:
            fcntl.ioctl(self._listener, _RECEIVE, room)
        except OSError:
            return None
        ticket, thread, _, number, _, _, *arguments = _NOTICE.unpack(room)
        return Notice(ticket, thread, process_of(thread), self._names[number], tuple(arguments))

    def still_waits(self, notice: Notice) -> bool:
        """Whether it is still that thread's call, so that what was read belongs to it."""
        try:
            fcntl.ioctl(self._listener, _STILL_WAITS, struct.pack("=Q", notice.ticket))
        except OSError:
            return False
        return True

    def answer(self, notice: Notice, error: int | None) -> None:
        """Let a call go on into the kernel (None), or have it end with an error, or with success (0)."""
        answer = _ANSWER.pack(notice.ticket, 0, -(error or 0), _GO_ON if error is None else 0)
        with contextlib.suppress(OSError):  # its thread has ended
            fcntl.ioctl(self._listener, _SEND, answer)


def process_of(thread: int) -> int:
    """The process that a thread belongs to, by its first thread's number; 0 where it has ended."""
    return _status(thread, "Tgid:")


def is_below_us(number: int) -> bool:
    """Whether a process or thread is one that this process has started, or one of theirs."""
    above = _status(number, "PPid:")
    while above > 1 and above != os.getpid():
        above = _status(above, "PPid:")
    return above == os.getpid()


def _status(number: int, wanted: str) -> int:
    """A number that the kernel tells of a process or thread; 0 where it has ended."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{number}/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith(wanted)), 0)
    return 0

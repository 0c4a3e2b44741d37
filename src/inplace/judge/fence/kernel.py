"""System calls that Python has no function for."""

from __future__ import annotations

import ctypes
import os

_NO_NEW_PRIVS, _CHILD_SUBREAPER, _PDEATHSIG = 38, 36, 1

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def system_call(number: int, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """What a system call gives.

    Raises:
        OSError: if the kernel refuses.
    """
    given = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    found = int(_libc.syscall(ctypes.c_long(number), *given))
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found


def take_no_new_rights() -> None:
    """Let no program that this process becomes have more rights than it: what the kernel asks of who fences itself."""
    _set(_NO_NEW_PRIVS, 1)


def adopt_orphans() -> None:
    """Become the parent of all whose parents end, among those that this process has started."""
    _set(_CHILD_SUBREAPER, 1)


def end_with_parent(signal: int) -> None:
    """Have a signal sent to this process when its parent ends."""
    _set(_PDEATHSIG, signal)


def _set(option: int, value: int) -> None:
    if _libc.prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0))) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

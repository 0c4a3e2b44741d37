"""Reads memory that somebody else owns, who may have given it back.

An array over memory that was unmapped by hand, or over a file that was cut short, stands for bytes that nobody may
touch: to read them would end the process, though the user's code never does.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Any


class _Iovec(ctypes.Structure):
    """`struct iovec`: where bytes begin, and how many they are."""

    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


copied: Callable[[int, int], Any] | None = None
"""A copy of so many bytes at an address, made by the kernel and asked for by what is compiled, where it was.

None where nobody may read them any more, NotImplemented where the kernel copies none.
"""


class ForeignMemory:
    """Reads bytes by their address: on Linux the kernel copies them, which knows what is mapped.

    Elsewhere, or where a sandbox forbids the question, they are read as they are.
    """

    def __init__(self) -> None:
        self._read = _kernels_read()
        self._room = ctypes.create_string_buffer(0)
        self._here, self._there = _Iovec(), _Iovec()
        # Arguments of the types that C has are handed on as they are, which takes half the time of integers.
        one, none = ctypes.c_ulong(1), ctypes.c_ulong(0)
        self._parts = ctypes.byref(self._here), one, ctypes.byref(self._there), one, none

    def copy(self, pointer: int, size: int) -> bytes | None:
        """A copy of the bytes at an address; None where nobody may read them any more."""
        found = NotImplemented if copied is None else copied(pointer, size)
        if found is not NotImplemented:
            return found  # type: ignore[no-any-return]
        block = self.read(pointer, size)
        return None if block is None else bytes(block)

    def read(self, pointer: int, size: int, *, by_kernel: bool = False) -> memoryview | None:
        """The bytes at an address, until somebody reads others; None where nobody may read them any more.

        If only `by_kernel`, None as well where that doesn't copy them.
        """
        if len(self._room) < size:
            self._room = ctypes.create_string_buffer(size)
            self._here.base = ctypes.addressof(self._room)
        self._here.size = self._there.size = size
        self._there.base = pointer
        if self._read is not None:
            count = self._read(_process(), *self._parts)
            if count == size:
                return memoryview(self._room)[:size]
            if count >= 0 or ctypes.get_errno() == errno.EFAULT:  # a part of it, or not even its beginning
                return None
        if by_kernel:
            return None
        return memoryview((ctypes.c_char * size).from_address(pointer))


def kernels_copy(pointer: int, size: int) -> bytes | None:
    """A copy of the bytes at an address that the kernel has made; None where it doesn't, or nobody may read them."""
    found = ForeignMemory().read(pointer, size, by_kernel=True)
    return None if found is None else bytes(found)


@cache
def _process() -> ctypes.c_int:
    """The number of this process, for which the system is asked once."""
    return ctypes.c_int(os.getpid())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.cache_clear)


@cache
def _kernels_read() -> Any:
    """`process_vm_readv` of the C library; None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    found = getattr(ctypes.CDLL(None, use_errno=True), "process_vm_readv", None)
    if found is not None:
        found.restype = ctypes.c_ssize_t
    return found

"""ForeignMemory is read by its address, and let be where it is not there any more."""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import Any

import pytest

from inplace.capture.bytes import foreign_memory
from inplace.capture.bytes.foreign_memory import ForeignMemory

PAGE = mmap.PAGESIZE


def mapped(pages: int) -> tuple[Any, int]:
    """The C library, and the address of some pages that nobody else uses."""
    c = ctypes.CDLL(None)
    c.mmap.restype = ctypes.c_void_p
    number = ctypes.c_int
    c.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, number, number, number, ctypes.c_long]
    c.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    return c, int(c.mmap(None, pages * PAGE, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0))


def test_bytes_are_read() -> None:
    """Small ones and large ones, one after the other."""
    reader = ForeignMemory()
    for text in (b"abc", b"x" * 100_000, b"de"):
        room = ctypes.create_string_buffer(text, len(text))
        found = reader.read(ctypes.addressof(room), len(text))
        assert found is not None
        assert bytes(found) == text


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can be asked whether memory is mapped")
@pytest.mark.parametrize("gone", [0, 1], ids=["beginning", "end"])
def test_what_is_not_mapped_is_let_be(gone: int) -> None:
    """Whether all of it was unmapped or only its end."""
    c, address = mapped(2)
    assert ForeignMemory().read(address, 2 * PAGE) is not None
    c.munmap(address + gone * PAGE, PAGE)

    assert ForeignMemory().read(address, 2 * PAGE) is None
    c.munmap(address, 2 * PAGE)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody is asked")
def test_where_the_question_is_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a sandbox that answers with another error, or without the function, memory is read as it is."""
    room = ctypes.create_string_buffer(b"abc", 3)
    for answer in (lambda *_: -1, None):
        monkeypatch.setattr(foreign_memory, "_kernels_read", lambda answer=answer: answer)
        ctypes.set_errno(1)
        found = ForeignMemory().read(ctypes.addressof(room), 3)
        assert found is not None
        assert bytes(found) == b"abc"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can be asked whether memory is mapped")
@pytest.mark.parametrize("how", ["compiled", "pure"])
def test_copies(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what is compiled, where it was, and without; also where a sandbox forbids the question."""
    if how == "pure":
        monkeypatch.setattr(foreign_memory, "copied", None)
    c, address = mapped(2)
    ctypes.memset(address, 7, 2 * PAGE)
    c.munmap(address + PAGE, PAGE)
    reader = ForeignMemory()

    assert reader.copy(address, 3) == b"\7\7\7"
    assert reader.copy(address, 2 * PAGE) is None
    assert foreign_memory.kernels_copy(address, 2) == b"\7\7"
    assert foreign_memory.kernels_copy(address + PAGE, 2) is None

    monkeypatch.setattr(foreign_memory, "copied", lambda _pointer, _size: NotImplemented)
    assert reader.copy(address, 3) == b"\7\7\7"
    monkeypatch.setattr(foreign_memory, "_kernels_read", lambda: None)
    assert foreign_memory.kernels_copy(address, 2) is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can be asked whether memory is mapped")
def test_a_copy_is_of_the_heap_or_of_the_kernel() -> None:
    """What `malloc` gave out is there to be read; of what lies elsewhere it is asked."""
    if foreign_memory.copied is None:
        pytest.skip("nothing was compiled")
    c = ctypes.CDLL(None)
    c.malloc.restype, c.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    c.free.argtypes, c.sbrk.restype, c.sbrk.argtypes = [ctypes.c_void_p], ctypes.c_void_p, [ctypes.c_long]
    for size in (8, 5_000, 1 << 24):
        address = c.malloc(size)
        ctypes.memset(address, 7, size)
        assert foreign_memory.copied(address, size) == b"\7" * size
        c.free(address)

    assert foreign_memory.copied(c.sbrk(0) + (1 << 20), 64) is None  # beyond the end of the heap nothing is mapped
    c, address = mapped(2)
    assert foreign_memory.copied(address, 2 * PAGE) == bytes(2 * PAGE)
    c.munmap(address, 2 * PAGE)
    assert foreign_memory.copied(address, 2 * PAGE) is None

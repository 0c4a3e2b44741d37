"""Whether the bytes that a tensor stands for are there to be read; nobody reads a byte without asking here.

A tensor keeps its shape when its storage is emptied or cut (`untyped_storage().resize_(0)`, as FSDP, offloading and
compiled code do), and then stands for bytes that nobody has: to read them ends the process.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from inplace.capture.bytes.foreign_memory import ForeignMemory


def is_readable(tensor: torch.Tensor) -> bool:
    """Whether every element of a tensor is in memory of the CPU that may be read now.

    One that has no elements stands for no bytes. Of a tensor whose memory can't be asked for, none may be read.
    """
    if tensor.device.type != "cpu" or tensor.layout is not torch.strided:
        return False
    try:
        start, stop = reach(tensor)
        if start == stop:
            return True
        storage = tensor.untyped_storage()
        pointer = storage.data_ptr()
        if not pointer or stop > storage.nbytes():
            return False
        # PyTorch can't resize what others own: they may have unmapped it, or cut the file that it is.
        return storage.resizable() or _foreign().read(pointer + start, stop - start) is not None
    except (RuntimeError, NotImplementedError):  # it has no shape, no storage, or none that may be asked
        return False


def is_covered(tensor: torch.Tensor) -> bool:
    """Whether the storage of a tensor, on any device, reaches to its last element; True where it has none."""
    try:
        start, stop = reach(tensor)
        return start == stop or stop <= tensor.untyped_storage().nbytes()
    except (RuntimeError, NotImplementedError):
        return True


def reach_of(storage: Any) -> tuple[int, int]:
    """Where the bytes of a storage begin, and how many they are; 0 and 0 for one that has none on the CPU."""
    if storage.device.type != "cpu":
        return 0, 0
    size, pointer = storage.nbytes(), storage.data_ptr()
    return (pointer, size) if pointer and size else (0, 0)


def reach(tensor: torch.Tensor) -> tuple[int, int]:
    """The first byte of a storage that a tensor stands for, and the one after the last; equal for no elements."""
    count = tensor.numel()
    if count and not tensor.is_contiguous():
        count = 1 + sum(stride * (length - 1) for stride, length in zip(tensor.stride(), tensor.shape, strict=True))
    itemsize, first = tensor.element_size(), int(tensor.storage_offset())
    return first * itemsize, (first + count) * itemsize


@cache
def _foreign() -> ForeignMemory:
    return ForeignMemory()

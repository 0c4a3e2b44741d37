"""No byte of a tensor is read that its storage does not cover: to do so would end the process."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from inplace.capture.bytes import readable
from inplace.capture.bytes.readable import is_covered, is_readable, reach_of
from inplace.capture.tables.tensor_facts import small_values
from tests.commands import python

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can be asked whether memory is mapped")


def answers(tensor: torch.Tensor) -> tuple[bool, bool, tuple[float, ...] | None]:
    """What is said of a tensor; pytest would read it itself to show it."""
    return is_readable(tensor), is_covered(tensor), small_values(tensor)


def emptied(tensor: torch.Tensor, size: int = 0) -> torch.Tensor:
    """A tensor whose storage was given another size."""
    tensor.untyped_storage().resize_(size)
    return tensor


def left_of(whole: torch.Tensor, part: torch.Tensor, size: int = 0) -> torch.Tensor:
    """A part of a tensor whose storage was then given another size."""
    emptied(whole, size)
    return part


def negated() -> torch.Tensor:
    """A lazily negated view, which is resolved by reading its bytes."""
    whole = torch.ones(4, dtype=torch.complex64)
    return left_of(whole, whole.conj().imag[2:])


def freed() -> torch.Tensor:
    """A tensor over a file that was cut under it."""
    path = Path(f"/proc/self/fd/{os.memfd_create('gone')}")
    os.truncate(path, mmap.PAGESIZE)
    tensor = torch.from_file(str(path), shared=True, size=4)
    os.truncate(path, 0)
    return tensor


ROW, SQUARE = (8,), (4, 4)
MISSING = {
    "emptied": lambda: emptied(torch.ones(4)),
    "too short by a byte": lambda: emptied(torch.ones(4), 15),
    "a part": lambda: left_of(row := torch.ones(ROW), torch.split(row, 2)[1]),
    "a part that was cut off": lambda: left_of(row := torch.ones(ROW), row[6:], 28),
    "with gaps": lambda: left_of(square := torch.ones(SQUARE), square.T[3], 60),
    "expanded": lambda: left_of(row := torch.ones(ROW), row[2].expand(5)),
    "detached": lambda: left_of(row := torch.ones(ROW, requires_grad=True), row.detach()),
    "a scalar": lambda: left_of(row := torch.tensor([1, 2]), row[1]),
    "negated": negated,
}
WITHOUT = {
    "meta": lambda: torch.ones(3, device="meta"),
    "sparse": lambda: torch.eye(3).to_sparse(),
}
THERE = {
    "plain": lambda: torch.ones(4),
    "no elements": lambda: emptied(torch.ones(0)),
    "no elements, emptied": lambda: left_of(row := torch.ones(ROW), row[2:2]),
    "the part that is left": lambda: left_of(row := torch.ones(ROW), row[:4], 16),
    "grown": lambda: emptied(emptied(torch.ones(4)), 16).fill_(2),
    "with gaps": lambda: torch.ones(SQUARE).T[1:3],
    "of numpy": lambda: torch.from_numpy(np.ones(5))[1:],
    "of a buffer": lambda: torch.frombuffer(bytearray(8), dtype=torch.uint8, offset=3),
    "shared": lambda: torch.ones(3).share_memory_(),
}


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in MISSING.items()])
def test_what_is_not_there_is_not_readable(make: Callable[[], torch.Tensor]) -> None:
    """A tensor of which one byte is missing has no values, and can't be copied."""
    assert answers(make()) == (False, False, None)


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in WITHOUT.items()])
def test_a_tensor_without_bytes_of_the_cpu_is_not_readable(make: Callable[[], torch.Tensor]) -> None:
    """PyTorch may copy it, but it has no values to show."""
    assert answers(make()) == (False, True, None)


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in THERE.items()])
def test_what_is_there_is_read(make: Callable[[], torch.Tensor]) -> None:
    """Its values are those that PyTorch gives."""
    tensor = make()

    assert answers(tensor) == (True, True, tuple(tensor.flatten().tolist()))


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_a_quantized_tensor_has_no_values_to_show() -> None:
    """Its bytes are not its numbers; emptied, it is not readable either."""
    tensor = torch.quantize_per_tensor(torch.ones(3), 0.5, 0, torch.quint8)

    assert answers(tensor) == (True, True, None)
    assert answers(emptied(tensor)) == (False, False, None)


@LINUX
def test_a_file_that_was_cut_is_not_read() -> None:
    """What others own may be gone though its storage tells of so many bytes."""
    assert answers(freed()) == (False, True, None)


@LINUX
def test_an_array_that_was_unmapped_is_not_read() -> None:
    """Nor is one over pages that were given back by hand."""
    c = ctypes.CDLL(None)
    c.mmap.restype = ctypes.c_void_p
    number = ctypes.c_int
    c.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, number, number, number, ctypes.c_long]
    c.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    address = c.mmap(None, mmap.PAGESIZE, mmap.PROT_READ, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    array = np.frombuffer((ctypes.c_char * 16).from_address(address), dtype=np.float32)
    tensor = torch.from_numpy(array.view())
    before = answers(tensor)
    c.munmap(address, mmap.PAGESIZE)

    assert before == (True, True, (0.0,) * 4)
    assert answers(tensor) == (False, True, None)


def test_bytes_of_a_storage() -> None:
    """None of one that is empty or elsewhere, else all."""
    pointer, size = reach_of(torch.tensor([1, 2], dtype=torch.uint8).untyped_storage())

    assert reach_of(emptied(torch.ones(4)).untyped_storage()) == (0, 0)
    assert reach_of(torch.ones(4, device="meta").untyped_storage()) == (0, 0)
    assert size == 2
    assert pointer


PROGRAMS = """
import torch, inplace
def views():
    flat = torch.arange(4.0)
    parts = torch.split(flat, 2)
    flat.untyped_storage().resize_(0)
    return parts
def in_place():
    flat = torch.ones(4)
    part = flat[2:]
    flat.untyped_storage().resize_(0)
    part[:0].zero_()
    part.detach().requires_grad_()
def set_data():
    one = torch.ones(4, requires_grad=True)
    other = torch.ones(4) * 2
    part = other[2:]
    other.untyped_storage().resize_(0)
    one.data = part
    one.detach()
def saved():
    x = torch.ones(4, requires_grad=True)
    whole = torch.ones(8)
    y = x * whole[4:]
    whole.untyped_storage().resize_(0)
    z = torch.ones(1, requires_grad=True)
    try:
        torch.autograd.grad(y.detach(), z, torch.ones(4))
    except RuntimeError:
        pass
    whole.untyped_storage().resize_(32)
    y.sum().backward()
def alive_at_the_end():
    x = torch.ones(4, requires_grad=True)
    whole = torch.ones(8)
    y = x * whole[4:]
    whole.untyped_storage().resize_(0)
    return x, whole, y
def optimizer():
    p = torch.nn.Parameter(torch.ones(4))
    p.grad = torch.ones(4)
    step = torch.optim.SGD([p], 0.1)
    step.step()
    half = p.detach()[2:]
    p.untyped_storage().resize_(0)
    return half.detach()
def shared():
    whole = torch.ones(8).share_memory_()
    part = whole[4:]
    whole.untyped_storage().resize_(0)
    return part.detach()
for program in (views, in_place, set_data, saved, alive_at_the_end, optimizer, shared):
    with inplace.record() as recording:
        kept = program()
    recording.report, recording.trace.states[:], recording.to_html()
    assert not recording.trace.notes, (program, recording.trace.notes)
    print(program.__name__)
"""


def test_programs_that_empty_storages_end_as_ever() -> None:
    """Whatever still stands for the lost bytes: parts, results, saved tensors, parameters, shared memory."""
    done = python("-c", PROGRAMS)

    names = "views in_place set_data saved alive_at_the_end optimizer shared"
    assert (done.stdout.split(), done.returncode, done.stderr) == (names.split(), 0, "")


def test_the_reader_of_foreign_memory_is_made_once() -> None:
    """To look one up takes no allocation."""
    assert readable._foreign() is readable._foreign()

"""The identities of storages: given once, kept while anybody reaches the bytes, ended by the death of the last."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from inplace.capture.tables.memory import Memory
from inplace.capture.tables.refs import LiveStorage, TensorRef
from inplace.capture.tables.tensors_seen import TensorsSeen


def live_of(seen: TensorsSeen, tensor: torch.Tensor) -> LiveStorage:
    """What is known of the storage of a tensor that is seen now."""
    seen.see(tensor)
    found = seen.live_of(tensor)
    assert found is not None
    return found


def test_a_storage_is_itself_while_it_lives() -> None:
    """Whatever of it is seen: tensor, view, detached, saved; its weak reference keeps nothing alive."""
    seen = TensorsSeen()
    x = torch.ones(4, requires_grad=True) * 1
    live = live_of(seen, x)

    saved = x.exp() * x
    assert [live_of(seen, one) is live for one in (x[1:], x.detach(), x.data, x.view(2, 2))] == [True] * 4
    del x
    seen.bury()
    assert seen.storages.find(live()) is live
    assert not live.has_died
    del saved
    seen.storages.bury()
    assert live() is None
    assert live.has_died
    assert live.key not in seen.storages.live


def test_an_address_that_is_taken_again_is_another_storage() -> None:
    """The address of the `StorageImpl` alone does not tell."""
    seen, ids, keys = TensorsSeen(), [], []
    for _ in range(20):
        x = torch.ones(4)
        live = live_of(seen, x)
        ids.append(live.id)
        keys.append(live.key)
        del x

    assert len(set(keys)) < len(set(ids)) == 20


@pytest.mark.parametrize("dies", [0, 1])
def test_two_storages_over_the_same_bytes_are_one(dies: int) -> None:
    """It has died when the last of them has, and what comes later over these bytes is the same until then."""
    seen, array = TensorsSeen(), np.ones(8, dtype=np.float32)
    tensors = [torch.from_numpy(array), torch.from_numpy(array[2:])]
    one, two = (live_of(seen, tensor) for tensor in tensors)
    assert one is two

    del tensors[dies]
    seen.bury()
    seen.storages.bury()
    assert not one.has_died
    assert live_of(seen, tensors[0]) is one
    third = torch.from_numpy(array[3:5])
    assert live_of(seen, third) is one
    tensors.clear()
    del third
    seen.storages.bury()
    assert one.has_died
    assert not seen.storages.live
    assert live_of(seen, torch.from_numpy(array)) is not one


def test_the_tensors_over_a_storage_are_known_by_it() -> None:
    """A dead one, and one that was given other memory, no longer."""
    seen = TensorsSeen()
    x, other = torch.ones(4), torch.zeros(4)
    part = x[1:]
    live = live_of(seen, x)
    seen.see(part)
    assert len(live.refs) == 2

    x.data = other
    seen.read(x)
    assert seen.over(live) is part
    del part
    seen.bury()
    assert seen.over(live) is None
    assert live_of(seen, x) is not live


def ref_at(pointer: int, tensor: torch.Tensor) -> TensorRef:
    """A reference to an owner of bytes that begin at an address."""
    ref = TensorRef(tensor)
    ref.pointer = pointer
    return ref


def test_memory_finds_whose_bytes_lie_at_an_address() -> None:
    """As going through all blocks does, for blocks of any size, and not for the dead or moved."""
    sizes: dict[int, int] = {}
    drawn, memory, start = random.Random(0), Memory(lambda ref: sizes[id(ref)]), 64
    blocks: list[tuple[int, int, torch.Tensor | None, TensorRef | None]] = []
    for _ in range(1500):
        size = drawn.choice([1, 3, 16, 64, 100, 4096, 5000, 1 << 20])
        tensor = torch.empty(0)
        ref = ref_at(start, tensor)
        sizes[id(ref)] = size
        memory.add(start, size, ref)
        blocks.append((start, size, tensor, ref))
        start += size + drawn.choice([1, 1, 7, 4096])
    for number in range(0, 1500, 5):
        moved = blocks[number][3]
        assert moved is not None
        moved.pointer = 1 << 50
    for number in range(1, 1500, 5):
        blocks[number] = (*blocks[number][:2], None, None)  # it has died

    for number, (begin, size, _, ref) in enumerate(blocks):
        expected = None if number % 5 < 2 else ref
        for inside in {0, size // 2, size - 1}:
            assert memory.owner_of(begin + inside, 1) is expected
        assert memory.owner_of(begin, size) is expected
        assert memory.owner_of(begin + 1, size) is None
        assert memory.owner_of(begin, 0) is None
    assert memory.owner_of(0, 1) is None

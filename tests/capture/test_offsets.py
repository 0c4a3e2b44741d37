"""The offsets of a tensor's fields: what stands there is what PyTorch's getters tell, or nothing is found."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._subclasses import FakeTensorMode

from inplace.capture.calls import offsets
from inplace.capture.calls.offsets import INLINE, Offsets

FOUND = offsets.find()

pytestmark = pytest.mark.skipif(FOUND is None, reason="nobody may look here, or PyTorch keeps its facts otherwise")


def at(address: int, size: int = 8) -> int:
    """The number of so many bytes at an address."""
    return int.from_bytes(ctypes.string_at(address, size), sys.byteorder)


def impl_of(tensor: torch.Tensor) -> int:
    """The address of a tensor's `TensorImpl`, as what is compiled finds it."""
    assert FOUND is not None
    return at(id(tensor) + FOUND.impl)


def read(tensor: torch.Tensor, where: Offsets) -> tuple[object, ...]:
    """What stands there: see `told`."""
    impl = impl_of(tensor)
    dims = at(impl + where.shape)
    sizes = tuple(at(impl + where.shape + 8 * (1 + place)) for place in range(dims))
    strides = tuple(at(impl + where.shape + 8 * (1 + INLINE + place)) for place in range(dims))
    itemsize = where.itemsizes[at(impl + where.dtype, 2)]
    storage, offset = at(impl + where.storage), at(impl + where.offset)
    assert where.resizable is not None
    of_storage = at(storage + where.size), at(storage + where.resizable, 1) == 1
    begin = at(storage + where.pointer)
    version = at(at(impl + where.version) + where.count, 4)
    bare = at(impl + where.meta) == 0
    return (
        version,
        begin + offset * itemsize,
        sizes,
        strides,
        offset,
        at(impl + where.numel),
        itemsize,
        *of_storage,
        bare,
    )


def told(tensor: torch.Tensor) -> tuple[object, ...]:
    """Version, address, shape, strides, offset, elements, bytes of one and of all, whether it is resizable and bare."""
    place = tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.storage_offset()
    bare = not tensor.requires_grad and tensor._base is None
    storage = tensor.untyped_storage()
    sizes = tensor.element_size(), storage.nbytes(), storage.resizable()
    return tensor._version, *place, tensor.numel(), *sizes, bare


KINDS = st.sampled_from([torch.float32, torch.float64, torch.int64, torch.int16, torch.uint8, torch.bool])
STEPS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "view": lambda x: x[1:] if x.dim() and x.shape[0] > 1 else x.unsqueeze(0),
    "transposed": lambda x: x.transpose(0, -1) if x.dim() else x,
    "written": lambda x: x.zero_(),
    "strided": lambda x: x[..., ::2] if x.dim() else x,
    "copy": lambda x: x.clone(),
    "flat": lambda x: x.reshape(-1),
    "data": lambda x: x.data,
    "detached": lambda x: x.detach(),
    "of an array": lambda x: torch.from_numpy(x.numpy()),
}


@given(st.lists(st.integers(1, 4), max_size=INLINE), KINDS, st.lists(st.sampled_from(sorted(STEPS)), max_size=6))
def test_what_stands_there_is_what_is_told(shape: list[int], dtype: torch.dtype, steps: list[str]) -> None:
    """Of tensors that any views and writes lead to."""
    assert FOUND is not None
    tensor = torch.ones(shape, dtype=dtype)
    for step in steps:
        tensor = STEPS[step](tensor)
    if tensor.dim() <= INLINE:
        assert at(impl_of(tensor) + FOUND.keys) == FOUND.plain
        assert read(tensor, FOUND) == told(tensor)


def test_a_leaf_that_requires_grad_is_not_bare() -> None:
    """And what is made of it is neither."""
    assert FOUND is not None
    leaf = torch.ones(3, requires_grad=True)
    for tensor in (leaf, leaf * 2, torch.nn.Parameter(torch.ones(3))):
        assert not read(tensor, FOUND)[-1]
        assert read(tensor, FOUND) == told(tensor)


VIEWS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "index": lambda x: x[0],
    "several": lambda x: x.unbind()[0],
    "split": lambda x: x.split(1)[0],
    "transposed": lambda x: x.transpose(0, -1),
    "detached": lambda x: x.detach(),
}
MODES: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "plain": nullcontext,
    "no_grad": torch.no_grad,
    "inference": torch.inference_mode,
}


@given(st.lists(st.tuples(st.sampled_from(sorted(VIEWS)), st.sampled_from(sorted(MODES))), min_size=1, max_size=3))
def test_where_the_creation_meta_of_a_view_stands(steps: list[tuple[str, str]]) -> None:
    """Of views of views that were taken in whatever mode."""
    assert FOUND is not None
    assert FOUND.creation is not None
    tensor = torch.ones(2, 2, 2, 2, requires_grad=True) * 1
    for view, mode in steps:
        with MODES[mode]():
            tensor = VIEWS[view](tensor)
        if tensor._is_view():
            found = at(at(impl_of(tensor) + FOUND.meta) + FOUND.creation, 1)
            assert found == int(torch._C._autograd._get_creation_meta(tensor))


OTHERS: dict[str, Callable[[], torch.Tensor]] = {
    "sparse": lambda: torch.eye(3).to_sparse(),
    "meta": lambda: torch.ones(3, device="meta"),
    "conjugated": lambda: torch.ones(3, dtype=torch.complex64).conj(),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "quantized": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    "functional": lambda: torch._to_functional_tensor(torch.ones(3)),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.filterwarnings("ignore")
def test_no_other_kind_of_tensor_has_the_plain_keys(name: str) -> None:
    """Their getters answer otherwise than by these fields, or not at all."""
    assert FOUND is not None
    assert at(impl_of(OTHERS[name]()) + FOUND.keys) != FOUND.plain


def test_tensors_of_inference_and_transforms_have_other_keys() -> None:
    """They have no version, or stand for several tensors."""
    assert FOUND is not None
    keys: list[int] = []
    with torch.inference_mode():
        keys.append(at(impl_of(torch.ones(3)) + FOUND.keys))

    def look(x: torch.Tensor) -> torch.Tensor:
        keys.append(at(impl_of(x) + FOUND.keys))
        return x

    torch.vmap(look)(torch.ones(2, 3))
    with FakeTensorMode():
        keys.append(at(impl_of(torch.ones(3)) + FOUND.keys))

    assert len(keys) == 3
    assert FOUND.plain not in keys


def test_it_is_found_in_whatever_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is, where the kernel won't tell what is in memory."""
    with torch.inference_mode():
        assert offsets.find() == FOUND
    with torch.no_grad(), torch.device("meta"):
        assert offsets.find() == FOUND
    with FakeTensorMode():
        assert offsets.find() in (None, FOUND)

    monkeypatch.setattr(offsets, "kernels_copy", lambda _address, _size: None)
    assert offsets.find() is None

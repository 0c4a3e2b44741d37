"""Where PyTorch keeps what its getters tell, found by asking them.

NOTE [ Read where it lies ]
A getter that is called from C takes longer than all that is done with its answer. The fields of `c10::TensorImpl` lie
at places that are fixed when PyTorch is built. So tensors whose facts are known are looked through, word by word, for
where these stand; a place counts only where it is the one place that holds the right value in every one of them.
If any place isn't found so, none is used. It is read only in tensors whose key set is that of a plain dense tensor on
the CPU: no subclass, transform, mode or other backend has a say in what these hold (`c10/core/TensorImpl.h`).
The words are read through the kernel, which refuses an address that nobody may read, where the getters would be asked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, count, repeat
from typing import Any

import torch

from inplace.capture.bytes.foreign_memory import kernels_copy

_WORD = 8  # bytes; where a pointer has another size, nothing is found
_IMPL = 22 * _WORD  # bytes of a `TensorImpl` that are looked through, which every version has
_OBJECT = 6 * _WORD  # the same of the object that Python holds
_STORAGE = 8 * _WORD  # of a `StorageImpl`
_COUNTER = 3 * _WORD  # of a `VersionCounter`
_META = 64 * _WORD  # of the `AutogradMeta` of a view
INLINE = 5  # dimensions whose sizes lie in the `TensorImpl` itself, and their strides behind them
_KINDS = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.complex128),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
]


@dataclass(frozen=True)
class Offsets:
    """Offsets in bytes, and what stands there.

    Attributes:
        impl: in the object that Python holds: the address of its `TensorImpl`.
        storage: in that: the address of its `StorageImpl`.
        meta: the address of its `AutogradMeta`, 0 for a leaf that requires no grad and is no view.
        version: the address of its `VersionCounter`.
        shape: the number of its dimensions, behind which their sizes stand if they are at most `INLINE`, and strides.
        offset: its storage offset in elements.
        numel: the number of its elements.
        dtype: the number of its dtype, of 16 bits.
        keys: its key set.
        pointer: in the `StorageImpl`: where its bytes begin.
        size: how many they are.
        resizable: whether PyTorch may resize it, a byte; None where it isn't known.
        count: in the `VersionCounter`: the version, of 32 bits.
        creation: in the `AutogradMeta` of a view: the number of its creation meta, a byte; None where it isn't known.
        plain: the key set of dense tensors on the CPU.
        itemsizes: the bytes of an element, by the number of its dtype.
    """

    impl: int
    storage: int
    meta: int
    version: int
    shape: int
    offset: int
    numel: int
    dtype: int
    keys: int
    pointer: int
    size: int
    resizable: int | None
    count: int
    creation: int | None
    plain: int
    itemsizes: dict[int, int]


class _UnknownError(Exception):
    """A place was not found, or there are several."""


def find() -> Offsets | None:
    """The offsets; None where PyTorch keeps these facts otherwise, or nobody may look."""
    try:
        with torch.inference_mode(mode=False), torch.enable_grad():
            return _found()
    except Exception:  # whatever another PyTorch, or a mode that is on, makes of the tensors to be looked through
        return None


def _found() -> Offsets:
    tensors = _probes()
    impls = [_read(tensor._cdata, _IMPL) for tensor in tensors]
    storages = [tensor.untyped_storage() for tensor in tensors]
    keys = [torch._C._dispatch_keys(tensor).raw_repr() for tensor in tensors]
    if len(set(keys)) != 1:
        raise _UnknownError
    version = _counter(tensors, impls)
    counters = [_read(_word(words, version), _COUNTER) for words in impls]
    dtype, itemsizes = _dtypes()
    stored = [_read(storage._cdata, _STORAGE) for storage in storages]
    meta = _where(impls, tensors, lambda words, tensor, place: (_word(words, place) == 0) == _is_bare(tensor))
    return Offsets(
        impl=_value([_read(id(tensor), _OBJECT) for tensor in tensors], [tensor._cdata for tensor in tensors]),
        storage=_value(impls, [storage._cdata for storage in storages]),
        meta=meta,
        version=version,
        shape=_where(impls, tensors, _has_layout),
        offset=_value(impls, [int(tensor.storage_offset()) for tensor in tensors]),
        numel=_value(impls, [tensor.numel() for tensor in tensors]),
        dtype=dtype,
        keys=_value(impls, keys),
        pointer=_value(stored, [storage.data_ptr() for storage in storages]),
        size=_value(stored, [storage.nbytes() for storage in storages]),
        resizable=_known(stored, [storage.resizable() for storage in storages]),
        count=_value(counters, [tensor._version for tensor in tensors], size=4),
        creation=_creation(meta),
        plain=keys[0],
        itemsizes=itemsizes,
    )


def _probes() -> list[torch.Tensor]:
    """Tensors of which no two facts are equal throughout; the first ones are bases of views, or share their memory."""
    whole = torch.zeros(840, device="cpu", dtype=torch.float32)
    other = torch.frombuffer(bytearray(480), dtype=torch.float32)
    leaf = torch.zeros(3, 11, device="cpu", dtype=torch.float32, requires_grad=True)
    for tensor, writes in ((whole, 5), (other, 9), (leaf.detach(), 3)):
        for _ in range(writes):
            tensor.zero_()
    shared = whole.data
    return [
        *(whole, other, leaf, shared),
        *(whole[7:].reshape(7, 7, 17), whole[13:733].view(2, 3, 4, 5, 6), whole[3:].as_strided((2, 5), (30, 3))),
        *(other[1:], other[2:].as_strided((), ()), leaf[1:], shared[20:]),
    ]


def _read(address: int, size: int) -> bytes:
    read = kernels_copy(address, size)
    if read is None:
        raise _UnknownError
    return read


def _word(words: bytes, place: int, size: int = _WORD) -> int:
    return int.from_bytes(words[place : place + size], sys.byteorder)


def _only(places: Sequence[int]) -> int:
    if len(places) != 1:
        raise _UnknownError
    return places[0]


def _value(blocks: Sequence[bytes], values: Sequence[int], size: int = _WORD) -> int:
    """The one place at which each block has its value."""
    return _where(blocks, values, lambda words, value, place: _word(words, place, size) == value, size)


def _where(
    blocks: Sequence[bytes], facts: Sequence[Any], holds: Callable[[bytes, Any, int], bool], size: int = _WORD
) -> int:
    """The one place at which something holds for each block."""
    places = range(0, len(blocks[0]), size)
    return _only([place for place in places if all(map(holds, blocks, facts, repeat(place)))])


def _known(blocks: Sequence[bytes], values: Sequence[int]) -> int | None:
    """The one byte of each block that has its value; None where there is none, or are several."""
    try:
        return _value(blocks, values, size=1)
    except _UnknownError:
        return None


def _is_bare(tensor: torch.Tensor) -> bool:
    return not tensor.requires_grad and tensor._base is None


def _has_layout(words: bytes, tensor: torch.Tensor, place: int) -> bool:
    """Whether a place has the dimensions of a tensor, its sizes behind it, and its strides behind the room for them."""
    sizes, strides = place + _WORD, place + (1 + INLINE) * _WORD
    facts = [
        (place, tensor.dim()),
        *zip(count(sizes, _WORD), tensor.shape),
        *zip(count(strides, _WORD), tensor.stride()),
    ]
    return all(_word(words, at) == value for at, value in facts)


def _counter(tensors: Sequence[torch.Tensor], impls: Sequence[bytes]) -> int:
    """The one place that a view and its base agree about, and no others, though they share their storage."""
    bases = [id(tensor if tensor._base is None else tensor._base) for tensor in tensors]
    pairs = [(one, other, bases[one] == bases[other]) for one, other in combinations(range(len(tensors)), 2)]

    def agree(place: int) -> bool:
        words = [_word(block, place) for block in impls]
        return all(words) and all((words[one] == words[other]) == same for one, other, same in pairs)

    return _only([place for place in range(0, _IMPL, _WORD) if agree(place)])


def _dtypes() -> tuple[int, dict[int, int]]:
    """Where the number of a dtype stands, and the bytes of an element by these numbers."""
    tensors = [torch.zeros(length, device="cpu", dtype=dtype) for dtype in _KINDS for length in (1, 6)]
    impls = [_read(tensor._cdata, _IMPL) for tensor in tensors]

    def tells(place: int) -> bool:
        pairs = {(_word(words, place, 2), tensor.dtype) for words, tensor in zip(impls, tensors, strict=True)}
        return len(pairs) == len(_KINDS) == len({number for number, _ in pairs})

    place = _only([place for place in range(0, _IMPL, 2) if tells(place)])
    return place, {_word(words, place, 2): tensor.element_size() for words, tensor in zip(impls, tensors, strict=True)}


def _creation(meta: int) -> int | None:
    """Where the creation meta of a view stands in its `AutogradMeta`."""
    base = torch.ones(3, 2, device="cpu", requires_grad=True) * 1
    views = [base[1:], *base.unbind(), base.T]
    with torch.no_grad():
        views += [base[1:], base.T, *base.unbind()]
    with torch.inference_mode():
        views += [base[2:], base.view(6)]
    try:
        asked: Any = torch._C._autograd._get_creation_meta
        numbers = [int(asked(view)) for view in views]
        return _known([_read(_word(_read(view._cdata, _IMPL), meta), _META) for view in views], numbers)
    except (_UnknownError, AttributeError):
        return None

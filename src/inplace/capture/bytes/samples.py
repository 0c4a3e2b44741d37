"""Samples of what nodes have saved, to notice that somebody wrote it where nothing shows the write.

NOTE [ Samples ]
A write by another thread, in TorchScript, by foreign code that has the address: none of these arrives at the mode or
moves a counter. Where it hits what a node has saved, backward computes with other values. So after a call that has made
a node some bytes of the tensors that it may have saved are read, and read again by later such calls that take the
tensor, and before each backward. Where they differ though the version counter stands, the memory is still the
tensor's, no noted call since then has written any of it, and nobody else watches it, that is noted as a change between
two calls: that of which the bytes were as before, and the first behind which they were not.
Whether it matters is asked of the graph later: the change counts for what was saved by the first of the two calls, not
for what was saved between them, since nobody knows which came first.

NOTE [ The price of samples ]
To read a tensor takes about a microsecond. So it is done the first times that a line runs, and then rarely; of a tensor
beyond a kilobyte some words are read, evenly spread; and a sample is let go of after some backwards. Only memory that
PyTorch has allocated for the CPU is read, as it lies: it is there as long as its tensor lives. What others own is left
to contents.py.
"""

from __future__ import annotations

import ctypes
import operator
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import takewhile
from typing import Any

import torch

from inplace.capture.bytes.contents import Contents
from inplace.capture.bytes.readable import reach
from inplace.capture.graph.handles import name_of, saving_attributes
from inplace.capture.tables.call_log import FUNCTION, GIVEN, GIVEN_WIDTH, WIDTH, CallLog
from inplace.capture.tables.refs import LiveStorage, TensorRef
from inplace.capture.tables.tensor_facts import node_of
from inplace.capture.tables.tensors import PLAIN
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.facts.model import Function, StateId, TensorId

FIRST = 8
"""Times that a line runs in which what its calls may have saved is read."""
EACH = 64
"""Of the later times it is each such one."""
WHOLE = 1_024
"""Bytes of a tensor that are all read; of a larger one are read as many words as `WORDS` says."""
WORDS = 64

_WORD = 8  # bytes
_MOST = 1_024  # samples that are kept at one time
_BACKWARDS = 4  # backwards before which a sample is compared
_RUNS = 8  # runs of bytes that differ, which are told apart
_GIVES = ("result", "output")  # what saves are called that are the call's own result
_BOTH = True, True
transforming = torch._C._functorch.peek_interpreter_stack


def is_due(times: int) -> bool:
    """Whether what a line saves is to be read when it has run so many times."""
    return times <= FIRST or not times % EACH


class _Sample:
    """What was read of a tensor when it had a version and a place, by then the call `after` was over."""

    __slots__ = ("after", "backwards", "block", "pointer", "ref", "size", "version")

    def __init__(self, ref: TensorRef, version: int, pointer: int, size: int, block: bytes, after: int) -> None:
        self.ref, self.version, self.pointer, self.size = ref, version, pointer, size
        self.block, self.after, self.backwards = block, after, 0


class Samples:
    """Reads samples, and compares them.

    Args:
        seen: where tensors get their ids.
        log: the calls.
        functions: what the numbers of functions stand for.
        contents: where the changes are noted, and what watches the memory that others can write.
    """

    def __init__(self, seen: TensorsSeen, log: CallLog, functions: Sequence[Function], contents: Contents) -> None:
        self._seen, self._log, self._functions, self._contents = seen, log, functions, contents
        self._samples: dict[TensorId, _Sample] = {}

    def take(self, tensors: Sequence[torch.Tensor], result: Any) -> None:
        """Read what a call that has just made a node may have saved: of the tensors that it took, and its result."""
        if transforming() is not None:
            return
        refs, samples, after = self._seen.refs, self._samples, len(self._log) - 1
        gives, keeps = _saves_of(result) if len(samples) < _MOST else (False, False)
        for tensor in tensors:
            ref = refs.get(id(tensor))
            if ref is not None:
                old = samples.get(ref.tensor)
                if old is not None and self._stands(old, tensor):
                    self._look(old, tensor, after)
                elif keeps and tensor is not result:
                    self._read(ref, tensor, after)
        for tensor in (result,) if gives and type(result) in PLAIN else ():
            ref = refs.get(id(tensor))
            if ref is not None:
                self._read(ref, tensor, after)

    def forget(self, tensor: torch.Tensor) -> None:
        """Hold no weak reference to a tensor any more."""
        ref = self._seen.ref_of(tensor)
        if ref is not None:
            self._samples.pop(ref.tensor, None)

    def standing(self) -> Iterator[torch.Tensor]:
        """The tensors that it has samples of, each to be let go of soon."""
        live = [(one, tensor) for one in self._samples.values() if (tensor := one.ref()) is not None]
        return (tensor for one, tensor in live if self._stands(one, tensor))

    def go_on(self, tensors: Iterable[torch.Tensor]) -> None:
        """Read tensors of which another had samples, which it has compared by now."""
        for tensor in tensors:
            ref = self._seen.ref_of(tensor)
            if ref is not None:
                self._read(ref, tensor, len(self._log) - 1)

    def close(self) -> None:
        """Let go of all samples."""
        self._samples.clear()

    def look(self) -> None:
        """Compare all samples: a backward is the next call."""
        samples, after = self._samples, len(self._log) - 1
        for number, sample in list(samples.items()):
            tensor = sample.ref()
            sample.backwards += 1
            if tensor is None or not self._stands(sample, tensor):
                del samples[number]
                continue
            self._look(sample, tensor, after)
            if sample.backwards >= _BACKWARDS:
                samples.pop(number, None)

    # ------------------------------------------------------------ reading

    @staticmethod
    def _stands(sample: _Sample, tensor: torch.Tensor) -> bool:
        """Whether the counter of a tensor has not moved since it was read, nor its memory."""
        try:
            return tensor._version == sample.version and tensor.data_ptr() == sample.pointer
        except RuntimeError:  # it has become something without a counter or without memory
            return False

    def _read(self, ref: TensorRef, tensor: torch.Tensor, after: int) -> None:
        self._samples.pop(ref.tensor, None)
        if ref.lost or ref.version is None or not tensor.is_cpu:
            return
        pointer, size = tensor.data_ptr(), tensor.numel() * tensor.element_size()
        if not tensor.is_contiguous() and operator.sub(*reversed(reach(tensor))) != size:  # it has gaps, or overlaps
            return
        if size and pointer and _is_there(tensor, pointer, size):
            if ref.live is not None and self._seen.storages.is_external(ref.live):
                return
            block = _sampled(pointer, size)
            self._samples[ref.tensor] = _Sample(ref, tensor._version, pointer, size, block, after)

    def _look(self, sample: _Sample, tensor: torch.Tensor, after: int) -> None:
        """Compare a sample of a tensor with what is there now, when the call `after` is over."""
        if not _is_there(tensor, sample.pointer, sample.size):
            del self._samples[sample.ref.tensor]
            return
        block = _sampled(sample.pointer, sample.size)
        if block != sample.block:
            self._differs(sample, tensor, block, after)
            sample.block = block
        sample.after = after

    # ------------------------------------------------------------ what differs

    def _differs(self, sample: _Sample, tensor: torch.Tensor, block: bytes, after: int) -> None:
        """Note a change between two calls, unless it is one that others tell of."""
        self._seen.ask(tensor)
        live, contents = sample.ref.live, self._contents
        if live is None or live.pointer > sample.pointer or tensor.is_shared() or _is_one_of_many():
            return
        if live.id in contents.watched or live.id in contents.asleep or self._is_told(live, sample.after):
            return
        if self._is_written(live, sample.after):
            return
        first = sample.pointer - live.pointer
        for start, stop in _differing(sample.block, block, sample.size, tensor.element_size()):
            change = (live.id, sample.after, after + 1, None, first + start, first + stop, True)
            contents.changes.append(change)

    def _is_told(self, live: LiveStorage, after: int) -> bool:
        """Whether it was noted of a storage that others wrote it behind the call `after`."""
        found = takewhile(lambda change: change[2] > after, reversed(self._contents.changes))
        return any(change[0] == live.id for change in found)

    def _is_written(self, live: LiveStorage, after: int) -> bool:
        """Whether a noted call behind the call `after` has written a storage, by what is known of it."""
        log, states = self._log, self._seen.states
        calls, given, begin = log.calls, log.given, (after + 1) * WIDTH
        stop = len(given)
        for row in range(len(calls) - WIDTH, begin - 1, -WIDTH):
            start, writes = calls[row + GIVEN], self._functions[calls[row + FUNCTION]].writes
            for at in range(start, stop, GIVEN_WIDTH):
                before, path = StateId(given[at + 1]), log.paths[given[at]].split("[", 1)[0]
                if before != given[at + 2] or path in writes:
                    storage, _ = states.counted(before)
                    if storage == live.id or (storage is None and states.tensor(before) in live.refs):
                        return True
            stop = start
        return False


def _saves_of(result: Any) -> tuple[bool, bool]:
    """Whether the node that gave out a result may have saved that, and whether something else."""
    node = node_of(result) if type(result) in PLAIN else None
    kind = type(node)
    if node is None or issubclass(kind, torch.autograd.function.BackwardCFunction):
        return _BOTH
    return _saves_of_class(kind)  # type: ignore[arg-type]  # a class is hashable


@cache
def _saves_of_class(kind: type) -> tuple[bool, bool]:
    names = [name_of(attribute) for attribute in saving_attributes(kind)]
    gives = [name.startswith(_GIVES) for name in names]
    return any(gives), not all(gives)


def _is_there(tensor: torch.Tensor, pointer: int, size: int) -> bool:
    """Whether the bytes of a tensor are there: its storage may have been emptied, or cut."""
    storage = tensor.untyped_storage()
    start = storage.data_ptr()
    return 0 < start <= pointer and pointer + size <= start + storage.nbytes()


def _is_one_of_many() -> bool:
    """Whether other processes may be writing, as a collective does that was begun, or shards that are gathered."""
    distributed = sys.modules.get("torch.distributed")
    return distributed is not None and distributed.is_available() and distributed.is_initialized()


# ---------------------------------------------------------------- the bytes of a sample


def _sampled(pointer: int, size: int) -> bytes:
    """All bytes of a small tensor, some words of a larger one."""
    if size <= WHOLE:
        return ctypes.string_at(pointer, size)
    return memoryview(_words(size // _WORD).from_address(pointer))[:: _step(size)].tobytes()


def _step(size: int) -> int:
    """From which word to which one goes in a block of so many bytes."""
    return max((size // _WORD - 1) // (WORDS - 1), 1)


@lru_cache(256)
def _words(count: int) -> Any:
    return ctypes.c_int64 * count


def _differing(one: bytes, other: bytes, size: int, itemsize: int) -> Iterator[tuple[int, int]]:
    """The ranges of bytes in which two samples of a block of so many bytes differ, up to a number of them."""
    whole = size <= WHOLE
    unit, step = (itemsize, itemsize) if whole else (_WORD, _step(size) * _WORD)
    runs: list[list[int]] = []
    for at in range(0, len(one), unit):
        if one[at : at + unit] != other[at : at + unit]:
            begin = at // unit * step
            if runs and runs[-1][1] == begin:
                runs[-1][1] = begin + unit
            elif len(runs) < _RUNS:
                runs.append([begin, begin + unit])
    return ((begin, stop) for begin, stop in runs)

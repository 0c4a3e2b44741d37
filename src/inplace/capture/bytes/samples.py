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
To read a tensor takes about a microsecond, and more where it has to be fetched from memory. So there is a budget of
calls and tensors, which grows with the calls. The first calls from each line are always looked at; others while the
budget lasts, and then again from the end of a backward on, once it has grown to what lies between two backwards. Of a
tensor beyond 4 KiB some words are read, evenly spread; and a sample is let go of after some backwards.
Only memory that PyTorch has allocated for the CPU is read, as it lies: it is there as long as its tensor lives. What
others own is left to contents.py.
"""

from __future__ import annotations

import ctypes
import operator
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import takewhile
from typing import Any

import torch

from inplace.capture.bytes.contents import Contents
from inplace.capture.bytes.readable import reach
from inplace.capture.calls.known import Known
from inplace.capture.graph.handles import name_of, saving_attributes
from inplace.capture.tables.call_log import FUNCTION, GIVEN, GIVEN_WIDTH, WIDTH, CallLog
from inplace.capture.tables.refs import LiveStorage, TensorRef
from inplace.capture.tables.tensor_facts import node_of, number_of
from inplace.capture.tables.tensors import PLAIN
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.facts.model import Function, StateId, StorageId, TensorId

FIRST = 8
"""Calls from one line that always have what they may save read."""
START, EACH = 48, 32
"""Calls and tensors that are looked at of others at once, and calls for which it is one more."""
WHOLE = 4_096
"""Bytes of a tensor that are all read; of a larger one are read as many words as `WORDS` says."""
WORDS = 64

_WORD = 8  # bytes
_MOST = 1_024  # samples that are kept at one time
_BACKWARDS = 8  # backwards before which a sample is compared
_TIMES = 8  # that a difference of one storage is looked into: steps of a fused optimizer write weights in silence
_RUNS = 8  # runs of bytes that differ, which are told apart
_GIVES = ("result", "output")  # what saves are called that are the call's own result
_BOTH = True, True
_OUT = ("out",)
_MADE = 8  # nodes of one call of which it is asked what they save
sequence = torch._C._autograd._get_sequence_nr
transforming = torch._C._functorch.peek_interpreter_stack


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

    Attributes:
        is_on: whether the budget is there to look at calls from whichever line.
    """

    def __init__(self, seen: TensorsSeen, log: CallLog, functions: Sequence[Function], contents: Contents) -> None:
        self._seen, self._log, self._functions, self._contents = seen, log, functions, contents
        self._samples: dict[TensorId, _Sample] = {}
        self._saves: dict[tuple[Known, int], tuple[bool, bool]] = {}
        self.is_on = True
        self._spent = 0  # calls that were looked at, and tensors that were read
        self._begun, self._need = 0, 0  # those by the last backward, and what lay between two
        self._times: dict[StorageId, int] = {}  # that samples of a storage differed

    def take(self, known: Known, step: int, tensors: Sequence[torch.Tensor], result: Any, nodes: int) -> None:
        """Read what the call at a step may have saved, which has made some nodes: what it took, and its result."""
        if transforming() is not None:
            return
        refs, samples, after = self._seen.refs, self._samples, len(self._log) - 1
        gives = keeps = False
        if len(samples) < _MOST:
            gives, keeps = self._saves.get((known, nodes)) or self._saves_of(known, result, nodes)
        self._spent += 1
        if self.is_on and START + (after + 1) // EACH < self._spent:
            self.is_on, self._need = False, 2 * (self._spent - self._begun)
        for tensor in self._read_only(step, tensors):
            ref = refs.get(id(tensor))
            if ref is not None:
                old = samples.get(ref.tensor)
                if old is not None and self._stands(old, tensor):
                    self._look(old, tensor, after)
                elif keeps and tensor is not result:
                    self._read(ref, tensor, after)
        if gives and type(result) in PLAIN:
            ref = refs.get(id(result))
            if ref is not None:
                self._read(ref, result, after)

    def _read_only(self, step: int, tensors: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
        """Those of the tensors that a call took which it does not write by itself, as it does running statistics."""
        log = self._log
        writes = self._functions[log.calls[step * WIDTH + FUNCTION]].writes
        if not writes or writes == _OUT:
            return tensors
        first = log.calls[step * WIDTH + GIVEN]
        paths = [log.paths[log.given[first + place * GIVEN_WIDTH]] for place in range(len(tensors))]
        return [one for path, one in zip(paths, tensors, strict=True) if path.split("[", 1)[0] not in writes]

    def _saves_of(self, known: Known, result: Any, nodes: int) -> tuple[bool, bool]:
        """Whether the nodes that a call has made may have saved its result, and whether something else."""
        found = _saves_of(result, nodes)
        if known.fresh:  # others make one node or another, as on a view
            self._saves[known, nodes] = found
        return found

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
        if self.is_on:
            self._need = self._spent - self._begun
        self.is_on, self._begun = self._left() >= self._need, self._spent

    def _left(self) -> int:
        """What is left of the budget, in calls and tensors."""
        return START + len(self._log) // EACH - self._spent

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
        pointer, size = tensor.data_ptr(), tensor.nbytes
        if not tensor.is_contiguous() and operator.sub(*reversed(reach(tensor))) != size:  # it has gaps, or overlaps
            return
        block = _block(tensor, pointer, size) if size and pointer else None
        if block is not None:
            live = ref.live
            if self._seen.storages.is_external(live) if live is not None else not tensor.untyped_storage().resizable():
                return
            self._spent += 1
            self._samples[ref.tensor] = _Sample(ref, tensor._version, pointer, size, block, after)

    def _look(self, sample: _Sample, tensor: torch.Tensor, after: int) -> None:
        """Compare a sample of a tensor with what is there now, when the call `after` is over."""
        block = _block(tensor, sample.pointer, sample.size)
        if block is None:
            del self._samples[sample.ref.tensor]
            return
        self._spent += 1
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
        times = self._times[live.id] = self._times.get(live.id, 0) + 1
        if times > _TIMES or live.id in contents.watched or live.id in contents.asleep:
            return
        if self._is_told(live, sample.after) or self._is_written(live, sample.after):
            return
        first = sample.pointer - live.pointer
        for start, stop in _differing(sample.block, block, sample.size, tensor.element_size()):
            change = (live.id, sample.after, after + 1, None, first + start, first + stop, True)
            contents.changes.append(change)

    def _is_told(self, live: LiveStorage, after: int) -> bool:
        """Whether those who watch a storage have noted that others wrote it behind the call `after`."""
        found = takewhile(lambda change: change[2] > after, reversed(self._contents.changes))
        return any(change[0] == live.id and not change[-1] for change in found)

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


def _saves_of(result: Any, nodes: int) -> tuple[bool, bool]:
    """Whether those of the last nodes that gave out a result may have saved that, and whether something else."""
    node = node_of(result) if type(result) in PLAIN else None
    if node is None or nodes > _MADE:
        return _BOTH
    first, met, gives, keeps = sequence() - nodes, [node], False, False
    for one in met:
        kind = type(one)
        if issubclass(kind, torch.autograd.function.BackwardCFunction):
            return _BOTH
        result_too, others_too = _saves_of_class(kind)  # type: ignore[arg-type]  # a class is hashable
        gives, keeps = gives or result_too, keeps or others_too
        met += [below for below, _ in one.next_functions if below is not None and number_of(below) >= first]
        if len(met) > nodes:
            return _BOTH
    return gives, keeps


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


block_of: Callable[[torch.Tensor, int, int], bytes | None] | None = None
"""What `_block` reads, compiled; NotImplemented where it doesn't. None where it was not compiled."""


def _block(tensor: torch.Tensor, pointer: int, size: int) -> bytes | None:
    """What is kept of so many bytes of a tensor that begin at an address; None where they are not there."""
    found = NotImplemented if block_of is None else block_of(tensor, pointer, size)
    if found is not NotImplemented:
        return found
    return _sampled(pointer, size) if _is_there(tensor, pointer, size) else None


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

"""What collectives write, told by the bytes that changed; see NOTE [ Collectives ].

NOTE [ When a collective writes ]
One that was begun with `async_op=True` writes from then until its `Work.wait()`, which no mode sees: so what it may
write is compared again when it has begun, before each backward and collective, and at the end. The write is told as
that of the call that began it; see NOTE [ Storages in flight ] for what is used meanwhile.

NOTE [ Buffers of DistributedDataParallel ]
Before a forward it overwrites the buffers of every rank by those of rank 0, and since PyTorch 2.13 puts their version
counters back (`_sync_buffers`, under `_unsafe_preserve_version_counter`). That is noted as a call of its own, made by
the line of the user's that called the model.

NOTE [ Gradients in buckets ]
With `gradient_as_bucket_view` a gradient is a part of a bucket, which the next backward fills again, whoever still has
that gradient. So gradients that the user's code has read and that are parts of something larger are
compared before and after each backward, and what has changed is noted as written by a call of the backward's line.
"""

from __future__ import annotations

import ctypes
import sys
import weakref
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch

from inplace.capture.bytes.contents import Contents as ComparedBytes
from inplace.capture.bytes.readable import is_readable, reach
from inplace.capture.calls.arguments import nested_in
from inplace.capture.calls.call_notes import CallNotes
from inplace.capture.calls.known import Known
from inplace.capture.code.objects import attributes_of, is_a, is_one_of
from inplace.capture.code.stacks import Stacks
from inplace.capture.tables.call_log import GIVEN, GIVEN_WIDTH, WIDTH
from inplace.capture.tables.refs import TensorRef
from inplace.capture.tables.tensors import TYPES
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.facts.collectives import REDUCED, SYNC_BUFFERS
from inplace.facts.model import Collective, Function, Kind, TensorId

_C10D = "torch.distributed.distributed_c10d"
_KEPT = 1 << 12  # bytes that are kept to compare; more are compared by checksum
_WHOLE = 1 << 20  # bytes of a tensor that are compared; of a larger one parts are
_PARTS = 16
_PART = 1 << 14  # bytes of each part
_ALWAYS_ASYNC = frozenset({"isend", "irecv"})
_REDUCED = Function(REDUCED, "reduce", Kind.OP, ("buckets",))
_MOST = 256  # gradients in buckets that are compared
_BUFFERS = Function(SYNC_BUFFERS, "_sync_buffers", Kind.OP, ("buffers",))

Contents = tuple[bool, "bytes | int"]
"""Whether it is all that a tensor holds, and that, or what it is known by."""


@dataclass(slots=True)
class _Target:
    """A tensor that a collective may write: where its state afterwards is noted, and what it held before."""

    at: int
    tensor: Callable[[], Any]
    before: Contents | None
    is_source: bool

    @property
    def is_compared(self) -> bool:
        """Whether all of it was read before."""
        return self.before is not None and self.before[0]


class Collectives:
    """Notes the collectives of one recording.

    Args:
        notes: where the calls are noted.
        seen: where tensors get their ids.
        stacks: where the user's stacks get theirs.
        bytes_: where those are compared that are written meanwhile.
        unseen: is told of a write that no version counter shows.

    Attributes:
        found: the collectives, in order.
        buffers: what the buffers of a model are called below it: the model, the name, the tensor, the step.
        rank: that of this process, None where no collective was seen.
        world: all ranks, none where no collective was seen.
    """

    def __init__(
        self, notes: CallNotes, seen: TensorsSeen, stacks: Stacks, bytes_: ComparedBytes, unseen: Callable[[], None]
    ) -> None:
        self._notes, self._seen, self._stacks, self._bytes, self._unseen = notes, seen, stacks, bytes_, unseen
        self.found: list[Collective] = []
        self._targets: list[tuple[torch.Tensor, Contents | None, bool]] = []  # of the call that runs
        self._open: list[_Target] = []  # of those that were begun and may not have ended
        self._groups: weakref.WeakKeyDictionary[Any, tuple[int, ...]] = weakref.WeakKeyDictionary()
        self.world: tuple[int, ...] = ()
        self._read: list[TensorRef] = []  # gradients in buckets that somebody has read
        self._held: list[tuple[torch.Tensor, Contents | None]] = []  # those, before a backward
        self._stack = -1  # of the backward that runs
        self.rank: int | None = None
        self.buffers: list[tuple[weakref.ref[torch.nn.Module], str, TensorId, int]] = []

    @property
    def is_open(self) -> bool:
        """Whether one was begun that may not have ended."""
        return bool(self._open or self._targets)

    def begin(self, known: Known, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """A collective is about to run: take down what it may write."""
        self.settle()
        step = len(self._notes.log)
        is_async = bool(kwargs.get("async_op")) or known.label in _ALWAYS_ASYNC or _is_gathering()
        self.found.append(Collective(step, self._group(kwargs.get("group")), is_async))
        written = known.facts.function.writes
        is_source = known.label == "broadcast" and self._is_source(kwargs)
        self._targets = [
            (tensor, _contents(tensor), is_source)
            for name, value in (*enumerate(args), *kwargs.items())
            if str(name) in written
            for _, tensor in nested_in(str(name), value)
        ]

    def end(self, tensors: list[torch.Tensor]) -> None:
        """It has returned: note what it wrote, or that it may yet write."""
        log, running = self._notes.log, self._targets
        self._targets = []
        start = log.calls[(len(log) - 1) * WIDTH + GIVEN]
        places = {id(tensor): start + number * GIVEN_WIDTH for number, tensor in enumerate(tensors)}
        targets = [
            _Target(places[id(tensor)], ref, before, is_source)
            for tensor, before, is_source in running
            if (ref := self._seen.ref_of(tensor)) is not None and id(tensor) in places
        ]
        if self.found[-1].is_async:
            for target in targets:
                if (one := target.tensor()) is not None and not target.is_source:
                    self._bytes.fly(one, len(log) - 1, log.stack(len(log) - 1))
            # What is written already has been since before it flew, maybe: no look at what flies would show that.
            self._open += [one for one in targets if not (one.is_compared and self._note_written(one))]
            if not self._open:
                self._bytes.end_flights()
        else:
            for target in targets:
                self._note(target)

    def leave(self) -> None:
        """It has raised."""
        self._targets = []

    def settle(self) -> None:
        """Note what those have written meanwhile that were begun."""
        if not self._open:
            return
        self._open = [target for target in self._open if not self._note(target)]
        if not self._open:
            self._bytes.end_flights()

    def _note(self, target: _Target) -> bool:
        """Note the state of a tensor after a collective if its bytes changed; whether they did, or never will."""
        tensor = target.tensor()
        is_told = True if tensor is None else self._bytes.land(tensor, len(self._notes.log))
        if is_told is None and target.is_compared:
            return target.is_source
        return bool(is_told) or self._note_written(target)

    def _note_written(self, target: _Target) -> bool:
        """The same, by what the tensor itself holds."""
        tensor, given = target.tensor(), self._notes.log.given
        if tensor is None:
            return True
        if given[target.at + 1] == given[target.at + 2]:
            if target.is_source or not _may_have_changed(target.before, tensor):
                return target.is_source
            ref = self._seen.ref_of(tensor)
            is_counted = ref is not None and ref.version is not None and tensor._version != ref.version
            given[target.at + 2] = self._seen.read(tensor, fresh=tensor._base is None)
            if not is_counted:
                self._unseen()
        return True

    def _is_source(self, kwargs: Mapping[str, Any]) -> bool:
        """Whether a collective hands out what this rank has."""
        group = self._group(kwargs.get("group"))
        source, within = kwargs.get("src"), kwargs.get("group_src")
        if source is None and within is None:
            source = 0
        if source is None:
            return within is not None and within < len(group) and group[within] == self.rank
        return bool(source == self.rank)

    def _group(self, group: Any) -> tuple[int, ...]:
        """The ranks that take part in a collective of some group, None for all."""
        c10d = sys.modules[_C10D]
        if self.rank is None:
            self.rank = int(c10d.get_rank())
        if group is None:
            if not self.world:
                self.world = tuple(range(c10d.get_world_size()))
            return self.world
        try:
            found = self._groups.get(group)
            if found is None:
                found = self._groups[group] = tuple(c10d.get_process_group_ranks(group))
        except (TypeError, KeyError, ValueError, RuntimeError):  # somebody's own kind of group
            return ()
        return found

    # ------------------------------------------------------------ gradients

    def read(self, gradient: torch.Tensor, models: Callable[[], Iterable[torch.nn.Module]]) -> None:
        """The user's code has read a gradient; see NOTE [ Gradients in buckets ]."""
        ref = self._seen.ref_of(gradient)
        if ref is None or len(self._read) > _MOST or any(one is ref for one in self._read):
            return
        if (
            gradient.device.type != "cpu"
            or gradient.layout is not torch.strided
            or gradient.untyped_storage().nbytes() <= gradient.nbytes
        ):
            return
        if any((attributes_of(one) or {}).get("gradient_as_bucket_view") is True for one in models()):
            self._read.append(ref)

    def hold(self, stack: int) -> None:
        """A backward is about to begin, from a stack of the user's."""
        self._stack = stack
        self._read = [ref for ref in self._read if ref() is not None]
        self._held = [(one, _contents(one)) for ref in self._read if (one := ref()) is not None]

    def reduced(self) -> None:
        """It has ended: note which of the gradients it has filled with others."""
        held, self._held = self._held, []
        changed = [one for one, before in held if before is not None and before != _contents(one)]
        if changed:
            self._note_call(_REDUCED, self._stack, [(f"buckets[{n}]", one) for n, one in enumerate(changed)])

    # ------------------------------------------------------------ buffers

    def held_by(self, model: Any) -> list[tuple[str, torch.Tensor, Contents | None]]:
        """The buffers of a model that are about to be overwritten, by their names below it, and what they hold."""
        module = (attributes_of(model) or {}).get("_modules", {}).get("module")
        named = module.named_buffers() if is_a(module, torch.nn.Module) else ()
        return [(name, one, _contents(one)) for name, one in named if is_one_of(one, TYPES)]

    def overwritten(self, model: Any, held: list[tuple[str, torch.Tensor, Contents | None]], frame: FrameType) -> None:
        """They have been: note that as a call of the line that called the model, if any byte changed."""
        changed = [(name, one) for name, one, before in held if _may_have_changed(before, one)]
        if not changed:
            return
        stack, _ = self._stacks.key_of(frame)
        step, reference = len(self._notes.log), weakref.ref(model)
        self._note_call(_BUFFERS, stack, [(f"buffers[{number}]", one) for number, (_, one) in enumerate(changed)])
        self.buffers += [(reference, f"module.{name}", self._seen.id_of(one), step) for name, one in changed]

    def _note_call(self, function: Function, stack: int, changed: list[tuple[str, torch.Tensor]]) -> None:
        self._notes.note_written(function, stack, changed)
        self._unseen()


def _is_gathering() -> bool:
    """Whether a `_coalescing_manager` gathers collectives, which begin when it ends (`distributed_c10d.py`)."""
    return bool(getattr(getattr(sys.modules[_C10D], "_world", None), "pg_coalesce_state", None))


def _contents(tensor: torch.Tensor) -> Contents | None:
    """What a tensor holds now, to be compared; None where that can't be read here."""
    if not is_readable(tensor):
        return None
    start, stop = reach(tensor)
    size, pointer = stop - start, tensor.untyped_storage().data_ptr() + start
    if size <= _WHOLE:
        block = memoryview((ctypes.c_char * size).from_address(pointer))
        return True, bytes(block) if size <= _KEPT else zlib.crc32(block)
    found = 0
    for part in range(_PARTS):
        begin = pointer + part * (size - _PART) // (_PARTS - 1)
        found = zlib.crc32(memoryview((ctypes.c_char * _PART).from_address(begin)), found)
    return False, found


def _may_have_changed(before: Contents | None, tensor: torch.Tensor) -> bool:
    """Whether a tensor holds something else than before; True too where not all of it was compared."""
    now = _contents(tensor) if before is not None else None
    return before is None or now is None or before != now or not before[0]

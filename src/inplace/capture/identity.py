"""Live tensors, storages and counters -> small ids that are never given out twice.

NOTE [ Nothing is kept alive ]
A tensor is known by a weak reference whose callback forgets it, so `id(tensor)` is a safe key while the entry stands.
A storage is known by a `StorageWeakRef`: it keeps the address of the `StorageImpl` taken, so that the key can't be
given to another storage, while the memory itself is freed on time.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from inplace.model import (
    CounterId,
    Layout,
    NodeId,
    StateId,
    Storage,
    StorageId,
    Tensor,
    TensorId,
    TensorState,
)

PLAIN: frozenset[type] = frozenset(
    {torch.Tensor, torch.nn.Parameter, *([torch.nn.Buffer] if hasattr(torch.nn, "Buffer") else [])}
)
SMALL = 16  # elements whose values are worth showing
SMALL_INDEX = 256  # elements of an integer tensor, which may be an index with repeated entries

_CROWDED = 256  # storages known, from which on the dead ones are let go of at once
_LEAF = 3  # the flags of a leaf that requires grad

_creation_meta = getattr(torch._C._autograd, "_get_creation_meta", None)
_is_functional = torch._is_functional_tensor
_OPAQUE = Layout((), None, "unknown", 0, "unknown")


class TensorRef(weakref.ref):  # type: ignore[type-arg]
    """A weak reference that carries what we know of its tensor, so that one object serves both."""

    __slots__ = ("counter", "guessed", "key", "pointer", "state", "storage", "tensor", "version")

    key: int
    tensor: TensorId
    version: int | None
    pointer: int
    state: StateId
    storage: StorageId | None
    counter: CounterId | None
    guessed: bool


class _LiveStorage:
    """A storage that may still be alive: `users` counts the recorded tensors that reach it."""

    __slots__ = ("id", "key", "pointer", "ref", "users")

    def __init__(self, storage: StorageId, key: int, pointer: int, ref: StorageWeakRef) -> None:
        self.id = storage
        self.key = key
        self.pointer = pointer
        self.ref = ref
        self.users = 0


class Identities:
    """Gives out ids and notes the states of tensors as they are seen.

    Attributes:
        step: the step of the call being recorded; set by the mode.
        detail: whether small tensors' values are read.
    """

    def __init__(self) -> None:
        self.step = 0
        self.detail = True
        self.states: list[tuple[Any, ...]] = []
        self.layouts: list[Layout] = []
        self.storage_facts: list[list[Any]] = []
        self.tensor_facts: list[list[Any]] = []
        self.counters = 0
        self.external: list[StorageId] = []
        self._known: dict[int, TensorRef] = {}
        self._storages: dict[int, _LiveStorage] = {}
        self._by_id: dict[StorageId, _LiveStorage] = {}
        self._layout_ids: dict[tuple[Any, ...], int] = {}
        self._twins: list[StorageWeakRef] = []

    # ------------------------------------------------------------ seeing

    def see(self, tensor: torch.Tensor) -> StateId:
        """The id of the state that `tensor` is in now; reads it in full only if it is new or has moved."""
        known = self._known.get(id(tensor))
        if known is not None and known.version is not None:
            try:
                if tensor._version == known.version and tensor.data_ptr() == known.pointer:
                    return known.state
            except RuntimeError:  # became something without a counter or without memory
                pass
        return self.read(tensor, fresh=known is None)

    def read(
        self,
        tensor: torch.Tensor,
        *,
        origin: int | None = None,
        aliases: tuple[StateId, ...] = (),
        own: bool = False,
        fresh: bool = True,
    ) -> StateId:
        """Read `tensor` in full and note its state.

        Args:
            tensor: a tensor of a plain type.
            origin: the step of the call that gave it out; None where it was first met as an argument.
            aliases: states of tensors whose counter it may share (the inputs of the call that gave it out).
            own: True where it is known to start a counter of its own (`.data`).
            fresh: whether the call just run gave it out, so that its `grad_fn` is up to date; see NOTE [ Stale views ].
        """
        known = self._known.get(id(tensor))
        if _is_functional(tensor):
            return self._opaque(tensor, known, origin)
        try:
            facts = self._facts(tensor)
            layout, itemsize = self._layout(tensor)
        except (RuntimeError, NotImplementedError):
            return self._opaque(tensor, known, origin)
        if known is None:
            known = self._meet(tensor, origin)
        self._move_storage(known, facts[0])
        moved = known.counter is not None and known.version != facts[2]
        known.pointer, known.version = facts[1], facts[2]
        if moved and known.guessed:
            self._check_guess(known)
        base = tensor._base
        base_id = self._known_id(base) if base is not None else None
        if known.counter is None:
            known.counter = self._counter(known, facts[2], base, aliases, own=own or facts[3])
        live = self._by_id[facts[0]]
        known.state = self._note(
            known,
            offset=(facts[1] - live.pointer) // itemsize if facts[1] and itemsize else tensor.storage_offset(),
            layout=layout,
            autograd=_autograd(tensor, readable=fresh or base is None),
            base=base_id,
            creation=_creation(tensor) if base is not None else None,
            values=small_values(tensor) if self.detail else None,
        )
        return known.state

    def is_known(self, tensor: torch.Tensor) -> bool:
        """Whether this tensor object was seen before."""
        return id(tensor) in self._known

    def may_ask(self, tensor: torch.Tensor) -> bool:
        """Whether reading `grad_fn` has no effect; see NOTE [ Stale views ]."""
        known = self._known.get(id(tensor))
        return tensor._base is None or (known is not None and known.version == tensor._version)

    def ref_of(self, tensor: torch.Tensor) -> TensorRef | None:
        """What is known of a tensor that was seen before."""
        return self._known.get(id(tensor))

    def id_of(self, tensor: torch.Tensor) -> TensorId:
        """The id of `tensor`, met now if it was not before."""
        return TensorId(self.states[self.see(tensor)][0])

    def storage_of(self, tensor: torch.Tensor) -> StorageId | None:
        """The id of a tensor's storage if it was met before, without noting the tensor itself."""
        try:
            live = self._storages.get(tensor.untyped_storage()._cdata)
        except (RuntimeError, NotImplementedError):
            return None
        return live.id if live is not None else None

    def offset_of(self, tensor: torch.Tensor, storage: StorageId) -> int:
        """Offset in elements of `tensor` in a storage that is alive."""
        live = self._by_id.get(storage)
        pointer = tensor.data_ptr()
        return (pointer - live.pointer) // tensor.element_size() if live and pointer else tensor.storage_offset()

    def layout_of(self, tensor: torch.Tensor) -> Layout:
        """The layout of a tensor."""
        return self.layouts[self._layout(tensor)[0]]

    def live(self) -> list[torch.Tensor]:
        """The recorded tensors that are alive now; let go of them soon."""
        return [tensor for ref in list(self._known.values()) if (tensor := ref()) is not None]

    def over(self, storage: StorageId) -> torch.Tensor | None:
        """Some live tensor over this storage; let go of it soon."""
        for ref in list(self._known.values()):
            if ref.storage == storage and (tensor := ref()) is not None:
                return tensor
        return None

    # ------------------------------------------------------------ parts of a state

    def _facts(self, tensor: torch.Tensor) -> tuple[StorageId, int, int | None, bool]:
        """Storage, address, version, and whether the storage is a second one over bytes known already."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        live = self._storages.get(key) or self._meet_storage(storage, key, tensor)
        if live.key == key and live.pointer != storage.data_ptr():  # `resize_` and `share_memory_` move the memory
            live.pointer = storage.data_ptr()
            self.storage_facts[live.id][0] = storage.nbytes()
        version = None if tensor.is_inference() else tensor._version
        return live.id, tensor.data_ptr(), version, live.key != key

    def _meet_storage(self, storage: Any, key: int, tensor: torch.Tensor) -> _LiveStorage:
        pointer = storage.data_ptr()
        external = not storage.resizable()
        if external and (twin := self._same_memory(pointer, storage.nbytes())) is not None:
            # from_numpy(t.numpy()) is a second StorageImpl over the bytes of the first: show what is true of the bytes.
            self._storages[key] = twin
            self._twins.append(StorageWeakRef(storage))  # so that this address stays taken too
            return twin
        live = _LiveStorage(StorageId(len(self.storage_facts)), key, pointer, StorageWeakRef(storage))
        self._storages[key] = self._by_id[live.id] = live
        if external:
            self.external.append(live.id)
        self.storage_facts.append([storage.nbytes(), str(tensor.device), external, self.step, None])
        return live

    def _same_memory(self, pointer: int, size: int) -> _LiveStorage | None:
        if not pointer:
            return None
        for live in self._by_id.values():
            if (
                live.pointer
                and live.pointer <= pointer < live.pointer + max(self.storage_facts[live.id][0], 1)
                and (pointer + size <= live.pointer + self.storage_facts[live.id][0] and not live.ref.expired())
            ):
                return live
        return None

    def _layout(self, tensor: torch.Tensor) -> tuple[int, int]:
        key = (tensor.shape, tensor.stride(), tensor.dtype, tensor.device)
        found = self._layout_ids.get(key)
        if found is None:
            found = self._layout_ids[key] = len(self.layouts)
            itemsize = tensor.element_size()
            shape, strides = tuple(map(int, key[0])), tuple(map(int, key[1]))
            self.layouts.append(Layout(shape, strides, str(key[2]).removeprefix("torch."), itemsize, str(key[3])))
        return found, self.layouts[found].itemsize

    def _counter(
        self,
        known: TensorRef,
        version: int | None,
        base: torch.Tensor | None,
        aliases: tuple[StateId, ...],
        *,
        own: bool,
    ) -> CounterId | None:
        """Which version counter a tensor met now counts with (`c10/core/TensorImpl.h`, Version Counter Sharing)."""
        if version is None:
            return None
        if base is not None and (ref := self._known.get(id(base))) is not None:
            return ref.counter
        if not own:
            for alias in aliases:
                state = self.states[alias]
                if state[1] == known.storage and state[2] is not None:
                    return CounterId(state[2])
            if not aliases and (counter := self._counter_of_twin(known, version)) is not None:
                known.guessed = True
                return counter
        self.counters += 1
        return CounterId(self.counters - 1)

    def _check_guess(self, known: TensorRef) -> None:
        """Correct a counter that was only inferred: of two tensors that share one, both have moved or neither."""
        known.guessed = False
        for ref in list(self._known.values()):
            if ref is known or ref.counter != known.counter or (tensor := ref()) is None:
                continue
            if tensor._version != known.version:
                known.counter = CounterId(self.counters)
                self.counters += 1
            return

    def _counter_of_twin(self, known: TensorRef, version: int) -> CounterId | None:
        """The counter of a tensor over the same storage that stands at the same version, none where it can't be told.

        A tensor that no call gave out (`Parameter(t)`, `torch.Tensor(t)`) counts with the one it was made from.
        """
        for ref in list(self._known.values()):
            if ref is not known and ref.storage == known.storage and ref.version == version and ref() is not None:
                return ref.counter
        return None

    def _known_id(self, base: torch.Tensor) -> TensorId | None:
        if type(base) not in PLAIN:
            return None
        return TensorId(self.states[self.see(base)][0])

    def _note(self, known: TensorRef, **facts: Any) -> StateId:
        node, flags = facts["autograd"]
        self.states.append(
            (
                known.tensor,
                known.storage,
                known.counter,
                facts["offset"],
                facts["layout"],
                known.version,
                flags,
                node,
                facts["base"],
                facts["creation"],
                facts["values"],
            )
        )
        return StateId(len(self.states) - 1)

    # ------------------------------------------------------------ meeting and parting

    def _meet(self, tensor: torch.Tensor, origin: int | None) -> TensorRef:
        known = TensorRef(tensor, self._gone)
        known.key = id(tensor)
        known.tensor = TensorId(len(self.tensor_facts))
        known.storage = known.counter = None
        known.guessed = False
        self.tensor_facts.append([type(tensor).__name__, origin, self.step, None])
        self._known[known.key] = known
        return known

    def _move_storage(self, known: TensorRef, storage: StorageId) -> None:
        if known.storage == storage:
            return
        self._leave(known.storage)
        known.storage = storage
        self._by_id[storage].users += 1

    def _gone(self, ref: TensorRef) -> None:
        self._known.pop(ref.key, None)
        self.tensor_facts[ref.tensor][3] = self.step
        self._leave(ref.storage)

    def _leave(self, storage: StorageId | None) -> None:
        live = self._by_id.get(storage) if storage is not None else None
        if live is None:
            return
        live.users -= 1
        # The tensor that leaves still holds the storage while its callback runs, so look at the others only:
        # what autograd saved is found dead at the next sweep.
        if live.users <= 0:
            self.storage_facts[live.id][4] = self.step
            if len(self._storages) > _CROWDED and live.ref.expired():
                self._forget(live)

    def _forget(self, live: _LiveStorage) -> None:
        self._storages.pop(live.key, None)
        self._by_id.pop(live.id, None)

    def sweep(self) -> None:
        """Let go of the addresses of storages that have died since."""
        for live in [live for live in self._by_id.values() if live.users <= 0 and live.ref.expired()]:
            self._forget(live)

    def _opaque(self, tensor: torch.Tensor, known: TensorRef | None, origin: int | None) -> StateId:
        """Note a tensor whose memory can't be read (sparse, functional): identity only."""
        if known is None:
            known = self._meet(tensor, origin)
            known.version, known.pointer = None, 0
            layout = len(self.layouts)
            self.layouts.append(_OPAQUE)
            self.states.append((known.tensor, None, None, 0, layout, None, 0, None, None, None, None))
            known.state = StateId(len(self.states) - 1)
        return known.state

    # ------------------------------------------------------------ freezing

    def frozen_states(self) -> list[TensorState]:
        """The noted states as plain values."""
        return [_frozen(row, self.layouts) for row in self.states]

    def frozen_tensors(self) -> tuple[Tensor, ...]:
        """The tensors met."""
        return tuple(Tensor(TensorId(number), *facts) for number, facts in enumerate(self.tensor_facts))

    def frozen_storages(self) -> tuple[Storage, ...]:
        """The storages met; those that still have users, or whose memory stands, did not die."""
        for live in self._by_id.values():
            if live.users > 0:
                self.storage_facts[live.id][4] = None
        return tuple(Storage(StorageId(number), *facts) for number, facts in enumerate(self.storage_facts))


def _autograd(tensor: torch.Tensor, *, readable: bool) -> tuple[NodeId | None, int]:
    """The node and the flags: 1 requires grad, 2 leaf, 4 inference.

    NOTE [ Stale views ]
    When a base is written, the `grad_fn` of its other views is made anew the next time somebody asks for it
    (`torch/csrc/autograd/variable.cpp`, `VariableHooks::grad_fn`). Asking is not free of effects: an in-place call on
    such a view is refused as one on a leaf until somebody has asked, and `is_leaf` asks too. So we ask only for tensors
    that a call gave out, and say of other views what is true of their base.
    """
    if not tensor.requires_grad:
        return None, 6 if tensor.is_inference() else 2
    owner = tensor if readable or tensor._base is None else tensor._base
    flags = _LEAF if owner.is_leaf else 1
    if not readable or flags == _LEAF:
        return None, flags
    try:
        node = tensor.grad_fn
    except RuntimeError:  # a view made under no_grad whose base was written since: autograd has no answer either
        return None, flags
    return (None if node is None else NodeId(node._sequence_nr())), flags


def _creation(tensor: torch.Tensor) -> str | None:
    if _creation_meta is None:
        return None
    return str(_creation_meta(tensor).name).lower()


def small_values(tensor: torch.Tensor) -> tuple[Any, ...] | None:
    """The elements of a small tensor in row order, None for one that is large, or not plain numbers in memory."""
    if (
        tensor.numel() > (SMALL_INDEX if tensor.dtype is torch.int64 else SMALL)
        or tensor.device.type != "cpu"
        or tensor.layout is not torch.strided
    ):
        return None
    if tensor.is_complex() or tensor.is_quantized:
        return None
    # `data` rather than `detach()`: that one asks for `grad_fn`, see NOTE [ Stale views ].
    return tuple(tensor.data.reshape(-1).tolist())


def _frozen(row: tuple[Any, ...], layouts: list[Layout]) -> TensorState:
    tensor, storage, counter, offset, layout, version, flags, node, base, creation, values = row
    return TensorState(
        tensor=tensor,
        storage=storage,
        counter=counter,
        offset=offset,
        layout=layouts[layout],
        version=version,
        requires_grad=bool(flags & 1),
        is_leaf=bool(flags & 2),
        node=node,
        base=base,
        creation=creation if not flags & 4 else "inference",
        values=values,
    )

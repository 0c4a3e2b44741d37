"""Live tensors, storages and counters -> small ids that are never given out twice.

NOTE [ Nothing is kept alive ]
A tensor is known by a weak reference whose callback forgets it, so `id(tensor)` is a safe key while the entry stands.
Storages are known in a like way; see storages.py.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch

from inplace.capture.reading import autograd_of, creation_of, small_values
from inplace.capture.storages import LiveStorage, Storages
from inplace.model import (
    CounterId,
    Layout,
    StateId,
    StorageId,
    Tensor,
    TensorId,
    TensorState,
)

PLAIN: frozenset[type] = frozenset(
    {torch.Tensor, torch.nn.Parameter, *([torch.nn.Buffer] if hasattr(torch.nn, "Buffer") else [])}
)


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
        self.storages = Storages()
        self.tensor_facts: list[list[Any]] = []
        self.counters = 0
        self._known: dict[int, TensorRef] = {}
        self._layout_ids: dict[tuple[Any, ...], int] = {}

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
        if known.storage != facts[0].id:
            self.storages.leave(known.storage, self.step)
            known.storage = facts[0].id
            self.storages.enter(known.storage)
        moved = known.counter is not None and known.version != facts[2]
        known.pointer, known.version = facts[1], facts[2]
        if moved and known.guessed:
            self._check_guess(known)
        base = tensor._base
        base_id = self._known_id(base) if base is not None else None
        if known.counter is None:
            known.counter = self._counter(known, facts[2], base, aliases, own=own or facts[3])
        known.state = self._note(
            known,
            offset=(facts[1] - facts[0].pointer) // itemsize if facts[1] and itemsize else tensor.storage_offset(),
            layout=layout,
            autograd=autograd_of(tensor, readable=fresh or base is None),
            base=base_id,
            creation=creation_of(tensor) if base is not None else None,
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
            live = self.storages.known(tensor.untyped_storage()._cdata)
        except (RuntimeError, NotImplementedError):
            return None
        return live.id if live is not None else None

    def offset_of(self, tensor: torch.Tensor, storage: StorageId) -> int:
        """Offset in elements of `tensor` in a storage that is alive."""
        start, pointer = self.storages.pointer_of(storage), tensor.data_ptr()
        if start and pointer:
            return (pointer - start) // tensor.element_size()
        return int(tensor.storage_offset())

    def layout_of(self, tensor: torch.Tensor) -> Layout:
        """The layout of a tensor."""
        return self.layouts[self._layout(tensor)[0]]

    def live(self) -> list[torch.Tensor]:
        """The recorded tensors that are alive now; let go of them soon."""
        return [tensor for ref in list(self._known.values()) if (tensor := ref()) is not None]

    def over(self, storage: StorageId) -> torch.Tensor | None:
        """Some live tensor over this storage; let go of it soon."""
        for ref in list(self._known.values()):
            tensor: torch.Tensor | None = ref() if ref.storage == storage else None
            if tensor is not None:
                return tensor
        return None

    # ------------------------------------------------------------ parts of a state

    def _facts(self, tensor: torch.Tensor) -> tuple[LiveStorage, int, int | None, bool]:
        """Storage, address, version, and whether the storage is a second one over bytes known already."""
        live, second = self.storages.meet(tensor, self.step)
        version = None if tensor.is_inference() else tensor._version
        return live, tensor.data_ptr(), version, second

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

    def _gone(self, ref: TensorRef) -> None:
        self._known.pop(ref.key, None)
        self.tensor_facts[ref.tensor][3] = self.step
        self.storages.leave(ref.storage, self.step)

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

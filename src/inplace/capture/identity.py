"""Live tensors, storages and counters -> small ids that are never given out twice.

NOTE [ Nothing is kept alive ]
A tensor is known by a weak reference that is forgotten when it dies, so `id(tensor)` is a safe key while it stands.
Storages are known in a like way; see storages.py. The callback is `list.append`, which runs no Python code of ours
while the user's code runs; who has died is looked at before the next call.
"""

from __future__ import annotations

from array import array
from collections.abc import Container

import torch

from inplace.capture.columns import CallLog
from inplace.capture.reading import autograd_of, creation_of, number_of, small_values
from inplace.capture.refs import TensorRef
from inplace.capture.states import States
from inplace.capture.storages import LiveStorage, Storages
from inplace.capture.tensors import NO_STEP, PLAIN, TENSOR, TYPES, tensor_row
from inplace.model import (
    CounterId,
    StateId,
    StorageId,
    TensorId,
)

_is_functional = torch._is_functional_tensor


class Identities:
    """Gives out ids and notes the states of tensors as they are seen.

    Attributes:
        step: the step of the call being recorded; set by the mode.
        detail: whether small tensors' values are read.
        refs: what is known of each live tensor, by its `id`. Those in `dead` have to be buried before it is asked.
        tensors: what is known of each tensor, TENSOR integers each; see `tensors.py`.
        dead: references to tensors that have died since the last `bury`.
    """

    def __init__(self) -> None:
        self.step = 0
        self.detail = True
        self.states = States()
        self.storages = Storages()
        self.counters = 0
        self.refs: dict[int, TensorRef] = {}
        self.dead: list[TensorRef] = []
        self._died = self.dead.append
        self.tensors = array("i")

    # ------------------------------------------------------------ seeing

    def see(self, tensor: torch.Tensor) -> StateId:
        """The id of the state that `tensor` is in now; reads it in full only if it is new or has moved."""
        if self.dead:
            self.bury()
        known = self.refs.get(id(tensor))
        if known is not None and known.version is not None:
            try:
                if tensor._version == known.version and tensor.data_ptr() == known.pointer:
                    return known.state
            except RuntimeError:  # became something without a counter or without memory
                pass
        return self.read(tensor, fresh=known is None)

    def meet(self, tensor: torch.Tensor, log: CallLog, step: int, *, own: bool = False) -> StateId:
        """Note the state of a tensor that a call has just given out and that is not known.

        The shortest way for what most calls give out: a tensor that is no view, in a storage of its own.
        """
        try:
            version = tensor._version
            storage = tensor.untyped_storage()
            key = storage._cdata
            known_bytes = tensor._base is not None or key in self.storages.live
            if not known_bytes:
                pointer, offset, layout = tensor.data_ptr(), int(tensor.storage_offset()), self.states.layout(tensor)
                live = self.storages.new(storage, key, tensor, step, is_output=True)
                known_bytes = live.key != key
        except RuntimeError:  # it has no counter, or no memory
            known_bytes = True
        if known_bytes:
            aliases = tuple(after for _, _, after in log.inputs(step))
            return self.read(tensor, origin=step, aliases=aliases, own=own)
        known = self._meet(tensor, step)
        known.live = live
        live.users += 1
        known.version, known.pointer = version, pointer
        counter = known.counter = CounterId(self.counters)
        self.counters += 1
        if not tensor.requires_grad:
            node, flags = -1, 2
        elif (made_by := tensor.grad_fn) is None:
            node, flags = -1, 3
        else:
            node, flags = number_of(made_by), 1
        state = known.state = self.states.note(known.tensor, live.id, counter, offset, layout, flags, version, node, -1)
        if self.detail and (values := small_values(tensor)) is not None:
            self.states.values[state] = values
        return state

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
        if self.dead:
            self.bury()
        known = self.refs.get(id(tensor))
        if _is_functional(tensor):
            return self._opaque(tensor, known, origin)
        try:
            live, second = self.storages.meet(tensor, self.step)
            pointer = tensor.data_ptr()
            version = None if tensor.is_inference() else tensor._version
            layout = self.states.layout(tensor)
        except RuntimeError:
            return self._opaque(tensor, known, origin)
        if known is None:
            known = self._meet(tensor, origin)
        if known.live is not live:
            if known.live is not None:
                self.storages.leave(known.live, self.step)
            known.live = live
            live.users += 1
        moved = known.counter is not None and known.version != version
        known.pointer, known.version = pointer, version
        if moved and known.guessed:
            self._check_guess(known)
        base = tensor._base
        base_id = self._known_id(base) if base is not None else None
        if known.counter is None:
            known.counter = self._counter(known, version, base, aliases, own=own or second)
        itemsize = self.states.layouts[layout].itemsize
        offset = (pointer - live.pointer) // itemsize if pointer and itemsize else int(tensor.storage_offset())
        node, flags = autograd_of(tensor, readable=fresh or base is None)
        if base is not None:
            flags |= self.states.creation(creation_of(tensor))
        return self._note(
            known, offset, layout, flags, -1 if node is None else node, -1 if base_id is None else base_id, tensor
        )

    def stepped(self, tensor: torch.Tensor, known: TensorRef) -> StateId:
        """The state of a parameter after the step of one of PyTorch's optimizers, which writes its values only."""
        version = tensor._version
        if known.version is None or tensor._base is not None or tensor.data_ptr() != known.pointer:
            return self.read(tensor)
        if version != known.version:
            known.version = version
            if known.guessed:
                self._check_guess(known)
            known.state = self.states.again(known.state, version)
            if self.detail and (values := small_values(tensor)) is not None:
                self.states.values[known.state] = values
        return known.state

    def bury(self) -> None:
        """Forget the tensors that have died."""
        dead, step = self.dead, self.step
        while dead:
            ref = dead.pop()
            if self.refs.get(ref.key) is ref:
                del self.refs[ref.key]
            self.tensors[ref.tensor * TENSOR + 3] = step
            if ref.live is not None:
                self.storages.leave(ref.live, step)

    def may_ask(self, tensor: torch.Tensor) -> bool:
        """Whether reading `grad_fn` has no effect; see NOTE [ Stale views ]."""
        known = self.refs.get(id(tensor))
        return tensor._base is None or (known is not None and known.version == tensor._version)

    def is_known(self, tensor: torch.Tensor, ref: TensorRef) -> bool:
        """Whether a tensor is still in the state that was noted last."""
        return tensor._version == ref.version and tensor.data_ptr() == ref.pointer

    def ref_of(self, tensor: torch.Tensor) -> TensorRef | None:
        """What is known of a tensor that was seen before."""
        return self.refs.get(id(tensor))

    def id_of(self, tensor: torch.Tensor) -> TensorId:
        """The id of `tensor`, met now if it was not before."""
        return self.states.tensor(self.see(tensor))

    def live_of(self, tensor: torch.Tensor) -> LiveStorage | None:
        """A tensor's storage if it was met before, without noting the tensor itself."""
        try:
            return self.storages.known(tensor.untyped_storage()._cdata)
        except RuntimeError:
            return None

    def offset_of(self, tensor: torch.Tensor, live: LiveStorage) -> int:
        """Offset in elements of `tensor` in its storage."""
        pointer = tensor.data_ptr()
        if live.pointer and pointer:
            return (pointer - live.pointer) // tensor.element_size()
        return int(tensor.storage_offset())

    def live(self, among: Container[TensorId] | None = None) -> list[torch.Tensor]:
        """The recorded tensors (of those in `among`, if given) that are alive now; let go of them soon."""
        wanted = [ref for ref in list(self.refs.values()) if among is None or ref.tensor in among]
        return [tensor for ref in wanted if (tensor := ref()) is not None]

    def over(self, storage: StorageId) -> torch.Tensor | None:
        """Some live tensor over this storage; let go of it soon."""
        for ref in list(self.refs.values()):
            tensor: torch.Tensor | None = ref() if ref.storage == storage else None
            if tensor is not None:
                return tensor
        return None

    # ------------------------------------------------------------ parts of a state

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
        if base is not None and (ref := self.refs.get(id(base))) is not None:
            return ref.counter
        if not own:
            for alias in aliases:
                storage, counter = self.states.counted(alias)
                if storage == known.storage and counter is not None:
                    return counter
            shared = known.live is not None and known.live.users > 1
            if not aliases and shared and (counter := self._counter_of_twin(known, version)) is not None:
                known.guessed = True
                return counter
        self.counters += 1
        return CounterId(self.counters - 1)

    def _check_guess(self, known: TensorRef) -> None:
        """Correct a counter that was only inferred: of two tensors that share one, both have moved or neither."""
        known.guessed = False
        for ref in list(self.refs.values()):
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
        for ref in list(self.refs.values()):
            if ref.live is known.live and ref is not known and ref.version == version and ref() is not None:
                return ref.counter
        return None

    def _known_id(self, base: torch.Tensor) -> TensorId | None:
        if type(base) not in PLAIN:
            return None
        return self.states.tensor(self.see(base))

    def _note(
        self, known: TensorRef, offset: int, layout: int, flags: int, node: int, base: int, tensor: torch.Tensor
    ) -> StateId:
        """Note the state that a tensor is in; -1 stands for nothing."""
        live, counter = known.live, known.counter
        state = known.state = self.states.note(
            known.tensor,
            -1 if live is None else live.id,
            -1 if counter is None else counter,
            offset,
            layout,
            flags,
            -1 if known.version is None else known.version,
            node,
            base,
        )
        if self.detail and (values := small_values(tensor)) is not None:
            self.states.values[state] = values
        return state

    # ------------------------------------------------------------ meeting and parting

    def _meet(self, tensor: torch.Tensor, origin: int | None) -> TensorRef:
        known = TensorRef(tensor, self._died)
        known.key = id(tensor)
        known.tensor = TensorId(len(self.tensors) // TENSOR)
        known.live = known.counter = None
        known.guessed = False
        kind = 0 if type(tensor) is torch.Tensor else TYPES.index(type(tensor))
        self.tensors.frombytes(tensor_row(kind, NO_STEP if origin is None else origin, self.step, NO_STEP))
        self.refs[known.key] = known
        return known

    def _opaque(self, tensor: torch.Tensor, known: TensorRef | None, origin: int | None) -> StateId:
        """Note a tensor whose memory can't be read (sparse, functional): identity only."""
        if known is None:
            known = self._meet(tensor, origin)
            known.version, known.pointer = None, 0
            known.state = self.states.opaque(known.tensor)
        return known.state

"""Live tensors, storages and counters -> small ids that are never given out twice.

NOTE [ Nothing is kept alive ]
A tensor is known by a weak reference that is forgotten when it dies, so `id(tensor)` is a safe key while it stands.
Storages are known in the same way; see storages.py. The callback is `list.append`, which runs no Python code of ours
while the user's code runs; who has died is looked at before the next call.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import torch

from inplace.capture.tables.counters import Counters
from inplace.capture.tables.layouts import LAYOUT
from inplace.capture.tables.refs import NO_KEY, LiveStorage, TensorRef
from inplace.capture.tables.storages import Storages
from inplace.capture.tables.tensor_facts import autograd_of, creation_of, is_functional, small_values
from inplace.capture.tables.tensor_states import REQUIRES_GRAD, States, creation_flag
from inplace.capture.tables.tensors import LAST, PLAIN, TENSOR, Tensors
from inplace.facts.model import NodeId, StateId, TensorId

_LEAF = 2  # the flags of a leaf that requires no grad


class TensorsSeen:
    """Gives out ids, notes the states of tensors as they are seen, and answers questions about what was met.

    Attributes:
        refs: what is known of each live tensor, by its `id`.
        tensors: what is known of each tensor.
        states: the states noted.
        storages: the storages met.
        step: the step of the call being recorded; set by the mode.
        detail: whether small tensors' values are read.
        origin: the sequence number at which the recording began.
        dead: references to tensors that have died since the last `bury`; they have to be buried before `refs` is asked.
        died: what a weak reference calls when its tensor dies.
        compiled: what notes in these tables and was compiled; None where nothing is.
    """

    __slots__ = (
        "compiled",
        "counters",
        "dead",
        "detail",
        "died",
        "origin",
        "refs",
        "states",
        "step",
        "storages",
        "tensors",
    )

    def __init__(self) -> None:
        self.refs: dict[int, TensorRef] = {}
        self.tensors = Tensors()
        self.states = States(self.tensors)
        self.storages = Storages(self.tensors, self.states.layouts, self.refs)
        self.step = 0
        self.detail = True
        self.origin = 0
        self.counters = Counters(self.refs, self.states)
        self.dead: list[TensorRef] = []
        self.died = self.dead.append
        self.compiled: Any = None

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

    def read(
        self,
        tensor: torch.Tensor,
        *,
        origin: int | None = None,
        aliases: tuple[StateId, ...] = (),
        own: bool = False,
        fresh: bool = True,
        made: int = -1,
    ) -> StateId:
        """Read `tensor` in full and note its state.

        Args:
            tensor: a tensor of a plain type.
            origin: the step of the call that gave it out; None where it was first met as an argument.
            aliases: states of tensors whose counter it may share (the inputs of the call that gave it out).
            own: True where it is known to start a counter of its own (`.data`).
            fresh: whether the call just run gave it out, so that its `grad_fn` is up to date; see NOTE [ Stale views ].
            made: the only node that the call made which gave it out; -1 where there was no such call, or another
                number of nodes. See NOTE [ Deep graphs ].
        """
        if self.dead:
            self.bury()
        known = self.refs.get(id(tensor))
        if (known is not None and known.lost) or is_functional(tensor):
            return self._opaque(tensor, known, origin)
        try:
            live, second = self.storages.meet(tensor, self.step)
            pointer = tensor.data_ptr()
            version = None if tensor.is_inference() else tensor._version
            layout = self.states.layouts.of(tensor)
        except RuntimeError:
            return self._opaque(tensor, known, origin)
        base = tensor._base
        base_id = self._known_id(base) if base is not None else None  # met before its view
        if known is None:
            known = self.know(tensor, origin)
        if known.live is not live:
            self.storages.leave(known, self.step)
            known.live = live
            live.refs[known.tensor] = known
        moved = known.counter is not None and known.version != version
        known.pointer, known.version = pointer, version
        if moved and known.guessed:
            self.counters.check(known)
        if known.counter is None:
            known.counter = self.counters.of(known, version, base, aliases, own=own or second)
        itemsize = self.states.layouts.known[layout].itemsize
        offset = (pointer - live.pointer) // itemsize if pointer and itemsize else int(tensor.storage_offset())
        node, flags = autograd_of(tensor, readable=fresh or base is None, made=made)
        if base is not None:
            flags |= creation_flag(creation_of(tensor))
        return self.note(known, offset, layout, flags, node, base_id, tensor)

    def reread(self, tensor: torch.Tensor) -> None:
        """Note a tensor anew that has got a gradient path, or lost it, while its version stood still.

        What the forward of a custom function gives out has none in there, and has one once `apply` gives it out.
        """
        known = self.refs.get(id(tensor))
        if known is not None and known.version is not None and not known.lost:
            requires_grad = self.states.facts(known.state) & REQUIRES_GRAD != 0
            if requires_grad != tensor.requires_grad:
                self.read(tensor, fresh=tensor._base is None)

    def written(self, tensor: torch.Tensor, *, fresh: bool, made: int) -> StateId:
        """Note the state in which a call has left a tensor that it may have written; the arguments are `read`'s."""
        known = self.refs.get(id(tensor))
        try:
            if known is not None and not tensor.requires_grad:
                facts = self.states.layouts.of(tensor) << LAYOUT | _LEAF
                if self.states.facts(known.state) == facts:
                    return self.stepped(tensor, known)
        except RuntimeError:  # it has no memory
            pass
        return self.read(tensor, fresh=fresh, made=made)

    def stepped(self, tensor: torch.Tensor, known: TensorRef) -> StateId:
        """The state of a tensor of which the call has written no more than the values, as an optimizer's step does."""
        version = tensor._version
        if known.version is None or known.state < 0 or known.guessed or tensor.data_ptr() != known.pointer:
            return self.read(tensor)
        if version != known.version:
            if tensor._base is not None:
                return self.read(tensor)
            known.version = version
            known.state = self.states.again(known.state, version)
            if self.detail and (values := small_values(tensor)) is not None:
                self.states.values[known.state] = values
        return known.state

    def survey(self, tensor: torch.Tensor) -> StateId:
        """The state of a tensor that went into a call which raised; it must not be read any more if it is broken.

        A `resize_` that fails has set the new shape and may leave its strides pointing nowhere: to read them ends the
        process.
        """
        known = self.refs.get(id(tensor))
        if known is None or known.version is None or known.lost:
            return self.see(tensor)
        try:
            if tensor.shape != self.states.layouts.known[self.states.placed(known.state)[1]].shape:
                known.lost, known.version, known.state = True, None, self.states.opaque(known.tensor)
                return known.state
        except RuntimeError:  # it has no shape
            pass
        if tensor._base is not None and self.states.creation(known.state) != creation_flag(creation_of(tensor)):
            # `apply` of a custom function has made another kind of view of what its forward gave out.
            return self.read(tensor, fresh=self.may_ask(tensor))
        return self.see(tensor)

    def leave_alone(self, tensor: torch.Tensor) -> None:
        """Read nothing of a tensor that may be broken, as after a `resize_` that has failed."""
        known = self.know(tensor, None)
        known.lost, known.state = True, self.states.opaque(known.tensor)

    def bury(self) -> None:
        """Forget the tensors that have died."""
        if self.compiled is not None:
            self.compiled.bury()
            return
        dead, step, rows = self.dead, self.step, self.tensors.rows
        while dead:
            ref = dead.pop()
            if self.refs.get(ref.key) is ref:
                del self.refs[ref.key]
            rows[ref.tensor * TENSOR + LAST] = step
            if ref.live is not None:
                self.storages.leave(ref, step)
            elif ref.node < 0:
                self.storages.drop(ref)

    def close(self) -> None:
        """Let go of everything that is known of live tensors."""
        self.refs.clear()
        self.dead.clear()
        self.storages.close()

    def forget(self, tensor: torch.Tensor) -> None:
        """Hold no weak reference to a tensor any more; it is another one when it is seen again."""
        known = self.refs.pop(id(tensor), None)
        if known is not None:
            known.key = NO_KEY
            self.tensors.rows[known.tensor * TENSOR + LAST] = self.step
            self.storages.leave(known, self.step)

    def id_of(self, tensor: torch.Tensor) -> TensorId:
        """The id of `tensor`, met now if it was not before."""
        return self.states.tensor(self.see(tensor))

    def ask(self, tensor: torch.Tensor) -> None:
        """Ask for the storage of a tensor seen before; see NOTE [ Storages nobody has asked for ]."""
        known = self.refs.get(id(tensor))
        if known is not None and known.live is None:
            self.storages.ask(tensor, known)

    # ------------------------------------------------------------ asking, which notes nothing

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

    def live_of(self, tensor: torch.Tensor, node: int | None = None) -> LiveStorage | None:
        """A tensor's storage if it was met before, without noting the tensor itself; `node` is what has saved it."""
        if is_functional(tensor):
            return None
        try:
            return self.storages.find(tensor.untyped_storage(), node)
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

    def over(self, live: LiveStorage) -> torch.Tensor | None:
        """Some live tensor over this storage; let go of it soon."""
        for ref in list(live.refs.values()):
            tensor: torch.Tensor | None = ref()
            if tensor is not None:
                return tensor
        return None

    # ------------------------------------------------------------ parts of a state

    def _known_id(self, base: torch.Tensor) -> TensorId | None:
        if type(base) not in PLAIN:
            return None
        return self.states.tensor(self.see(base))

    def note(
        self,
        known: TensorRef,
        offset: int,
        layout: int,
        flags: int,
        node: NodeId | None,
        base: TensorId | None,
        tensor: torch.Tensor,
    ) -> StateId:
        """Note the state that a tensor is in."""
        live, counter = known.live, known.counter
        state = known.state = self.states.note(
            known.tensor,
            -1 if live is None else live.id,
            -1 if counter is None else counter,
            offset,
            layout,
            flags,
            -1 if known.version is None else known.version,
            -1 if node is None else node,
            -1 if base is None else base,
        )
        if self.detail and (values := small_values(tensor)) is not None:
            self.states.values[state] = values
        return state

    # ------------------------------------------------------------ meeting and parting

    def know(self, tensor: torch.Tensor, origin: int | None) -> TensorRef:
        """Give a tensor that is met now an id; its memory and state are yet to be noted."""
        known = TensorRef(tensor, self.died)
        known.key = id(tensor)
        known.tensor = self.tensors.add(type(tensor), origin, self.step)
        known.live = known.counter = known.version = None
        known.pointer, known.node = 0, -1
        known.guessed = known.lost = False
        self.refs[known.key] = known
        return known

    def _opaque(self, tensor: torch.Tensor, known: TensorRef | None, origin: int | None) -> StateId:
        """Note a tensor whose memory can't be read (sparse, functional): identity only."""
        if known is None:
            known = self.know(tensor, origin)
            known.version, known.pointer = None, 0
            known.state = self.states.opaque(known.tensor)
        return known.state

"""The tensors that calls give out, noted with few reads where they are what most calls give out."""

from __future__ import annotations

from collections.abc import Callable

import torch

from inplace.capture.tables.call_log import CallLog
from inplace.capture.tables.layouts import LAYOUT
from inplace.capture.tables.refs import TensorRef
from inplace.capture.tables.tensor_facts import autograd_of, creation_of, is_functional, small_values
from inplace.capture.tables.tensor_states import creation_flag
from inplace.capture.tables.tensors import NO_STEP, TENSOR, TYPES, tensor_row
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.facts.model import CounterId, StateId, TensorId


class Arrivals:
    """Notes what calls give out: new tensors, views of known ones, and views of bases that nobody has met.

    Args:
        seen: where tensors get their ids.

    Attributes:
        meet_view: what is asked before `meet_based` and takes the same arguments, where it was compiled.
    """

    meet_view: Callable[[torch.Tensor, torch.Tensor, int, int], StateId | None] | None = None

    def __init__(self, seen: TensorsSeen) -> None:
        self._seen = seen
        self._refs, self._states, self._storages = seen.refs, seen.states, seen.storages
        self._layouts, self._rows = seen.states.layouts, seen.tensors.rows

    def meet(self, tensor: torch.Tensor, log: CallLog, step: int, made: int, *, own: bool = False) -> StateId:
        """Note the state of an unknown tensor that a call has just given out; see `TensorsSeen.read` for the rest."""
        base = tensor._base
        if base is None:
            state = self._meet_owner(tensor, step, made)
        else:
            state = None if own or self.meet_view is None else self.meet_view(tensor, base, step, made)
            if state is None and not own:
                state = self.meet_based(tensor, base, step, made)
        if state is not None:
            return state
        counted = base is not None and id(base) in self._refs  # with its base, that is
        aliases = () if counted else tuple(after for _, _, after in log.inputs(step))
        return self._seen.read(tensor, origin=step, aliases=aliases, own=own, made=made)

    def _meet_owner(self, tensor: torch.Tensor, step: int, made: int) -> StateId | None:
        """Note a tensor that is no view, in a storage that nobody has met; None if it is not so."""
        try:
            if not tensor.data_ptr() and is_functional(tensor):
                return None
            version, storage = tensor._version, tensor.untyped_storage()
            if self._storages.find(storage) is not None:
                return None
            key, pointer, offset = storage._cdata, tensor.data_ptr(), int(tensor.storage_offset())
            layout = self._layouts.of(tensor)
            live = self._storages.new(storage, key, tensor, step, is_output=True)
        except RuntimeError:  # it has no counter, or no memory
            return None
        if live.key != key:
            return None
        known = self._seen.know(tensor, step)
        known.live, known.counter, known.version, known.pointer = live, CounterId(known.tensor), version, pointer
        live.refs[known.tensor] = known
        node, flags = autograd_of(tensor, readable=True, made=made)
        return self._seen.note(known, offset, layout, flags, node, None, tensor)

    def meet_based(self, tensor: torch.Tensor, base: torch.Tensor, step: int, made: int) -> StateId | None:
        """Note a view that a call has given out; None, and no view noted, where it has to be read in full.

        Its base is in the state that was noted last, or is met now with it: a linear layer gives a view of a tensor
        that nobody is shown where its input has more than two dimensions.
        """
        below = self._refs.get(id(base))
        try:
            version, pointer, layout = tensor._version, tensor.data_ptr(), self._layouts.of(tensor)
            if below is None:
                below = self._meet_base(base, step) if not version and pointer == base.data_ptr() else None
            elif below.lost or below.version != version or base.data_ptr() != below.pointer:
                return None
            elif below.live is None:
                self._storages.ask(base, below)
            live = below.live if below is not None else None
            if self._storages.dead:
                self._storages.bury()
            # A view stays over the memory that its base had: `base.data = other` moves the base alone.
            if below is None or live is None or tensor.untyped_storage()._cdata != live.key:
                return None
        except RuntimeError:  # it has no counter, or no memory
            return None
        itemsize = self._layouts.known[layout].itemsize
        offset = (pointer - live.pointer) // itemsize if pointer and itemsize else int(tensor.storage_offset())
        known = self._seen.know(tensor, step)
        known.live, known.counter, known.version, known.pointer = live, below.counter, version, pointer
        live.refs[known.tensor] = known
        node, flags = autograd_of(tensor, readable=True, made=made)
        return self._seen.note(
            known, offset, layout, flags | creation_flag(creation_of(tensor)), node, below.tensor, tensor
        )

    def _meet_base(self, base: torch.Tensor, step: int) -> TensorRef | None:
        """Note a base that nobody has met, over memory that a call has made; None if it is not so."""
        if (
            type(base) is not torch.Tensor
            or is_functional(base)
            or self._storages.find(base.untyped_storage()) is not None
        ):
            return None
        if self.meet_fresh(base, step, -1, may_alias=False, given=False) is None:
            return None
        below = self._refs[id(base)]
        self._storages.ask(base, below)
        return below

    def meet_fresh(
        self, tensor: torch.Tensor, step: int, made: int, *, may_alias: bool, given: bool = True
    ) -> StateId | None:
        """Note a tensor that a call has given out in memory that it has made; None, and nothing noted, if it has not.

        It was not `given` out itself where it is the base of what was.

        See NOTE [ New tensors ] and NOTE [ Storages nobody has asked for ].
        """
        if tensor._base is not None:
            return None
        seen, storages, layouts = self._seen, self._storages, self._layouts
        try:
            pointer, layout = tensor.data_ptr(), layouts.of(tensor)
            if tensor._version or not pointer or tensor.storage_offset():
                return None
        except RuntimeError:
            return None
        found = storages.unasked.get(pointer)
        if (found is not None and found() is not None) or not layouts.sizes[layout]:
            return None
        if may_alias:
            if storages.dead:
                storages.bury()
            if tensor.untyped_storage()._cdata in storages.live:
                return None
        node, flags = made, 1
        if not tensor.requires_grad:
            node, flags = -1, 2
        elif made < 0:
            asked, flags = autograd_of(tensor, readable=True, made=made)
            if asked is None or asked < seen.origin:
                return None
            node = asked
        rows, ref = self._rows, TensorRef(tensor, seen.died)
        number = TensorId(len(rows) // TENSOR)
        ref.key, ref.version, ref.pointer, ref.node = id(tensor), 0, pointer, node
        ref.tensor, ref.counter = number, CounterId(number)
        ref.live, ref.guessed, ref.lost = None, False, False
        ref.state = state = StateId(-1 - number)
        rows.frombytes(
            tensor_row(
                0 if type(tensor) is torch.Tensor else TYPES.index(type(tensor)),
                step if given else NO_STEP,
                step,
                NO_STEP,
                layout << LAYOUT | flags,
                node if node < 0 else node - seen.origin,
            )
        )
        self._refs[ref.key] = storages.unasked[pointer] = ref
        if not number & 255:
            storages.forget_dead()
        if seen.detail and (values := small_values(tensor)) is not None:
            self._states.values[state] = values
        return state

"""What is known of live tensors and storages, asked without noting anything."""

from __future__ import annotations

from collections.abc import Container

import torch

from inplace.capture.tables.refs import LiveStorage, TensorRef
from inplace.capture.tables.storages import Storages
from inplace.capture.tables.tensor_states import States
from inplace.capture.tables.tensors import Tensors
from inplace.facts.model import StorageId, TensorId


class Lookup:
    """Answers questions about what was met.

    Attributes:
        refs: what is known of each live tensor, by its `id`.
        tensors: what is known of each tensor.
        states: the states noted.
        storages: the storages met.
    """

    def __init__(self) -> None:
        self.refs: dict[int, TensorRef] = {}
        self.tensors = Tensors()
        self.states = States(self.tensors)
        self.storages = Storages(self.tensors, self.states.layouts)

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

    def over(self, storage: StorageId) -> torch.Tensor | None:
        """Some live tensor over this storage; let go of it soon."""
        for ref in list(self.refs.values()):
            tensor: torch.Tensor | None = ref() if ref.storage == storage else None
            if tensor is not None:
                return tensor
        return None

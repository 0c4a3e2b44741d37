"""What is known of one tensor, and of one storage, while it may be alive.

Each is a weak reference that carries what we know, so that one object serves both. Those to storages are to the Python
object that PyTorch keeps with a `StorageImpl` for as long as that lives, whoever holds it (`torch/csrc/Storage.cpp`,
`THPStorage_Wrap`): they tell of its death without keeping its block, which PyTorch's own weak references do.
"""

from __future__ import annotations

import weakref

from inplace.facts.model import CounterId, StateId, StorageId, TensorId

NO_KEY = 0
"""The key of a reference that was let go of while its tensor lives."""


class LiveStorage(weakref.ref):  # type: ignore[type-arg]
    """A storage that may still be alive, by the `StorageImpl` over its bytes that was met first.

    Attributes:
        id: its id.
        key: the address of that `StorageImpl`, 0 once it has died.
        pointer: where its bytes begin.
        impls: how many `StorageImpl`s over its bytes are alive.
        refs: the recorded tensors that reach it, by their ids.
        split: whether they do not all share one version counter: what one counts, the others do not show.
    """

    __slots__ = ("id", "impls", "key", "pointer", "refs", "split")

    id: StorageId
    key: int
    pointer: int
    impls: int
    refs: dict[TensorId, TensorRef]
    split: bool

    @property
    def live(self) -> LiveStorage:
        """The storage itself, as with another one over its bytes."""
        return self

    @property
    def has_died(self) -> bool:
        """Whether nobody reaches its bytes through PyTorch any more, as far as deaths were noted."""
        return not self.impls


class SecondStorage(weakref.ref):  # type: ignore[type-arg]
    """Another `StorageImpl` over the bytes of a storage, as `from_numpy` makes one; all but `live` is its own."""

    __slots__ = ("key", "live", "pointer", "size")

    key: int
    pointer: int
    size: int
    live: LiveStorage


class TensorRef(weakref.ref):  # type: ignore[type-arg]
    """A tensor that may still be alive.

    `key` is the tensor's `id`. `version` and `pointer` are what tells whether the tensor is still in `state`; None and
    0 where it has none. `live` is None where the storage can't be read or was not asked for; in the latter case `node`
    is the number of the node that gave the tensor out, -1 for none. One that is `lost` must not be read any more.
    """

    __slots__ = ("counter", "guessed", "key", "live", "lost", "node", "pointer", "state", "tensor", "version")

    key: int
    tensor: TensorId
    version: int | None
    pointer: int
    state: StateId
    live: LiveStorage | None
    counter: CounterId | None
    guessed: bool
    lost: bool
    node: int

    @property
    def storage(self) -> StorageId | None:
        """The id of the storage, None where there is none that can be read."""
        return self.live.id if self.live is not None else None

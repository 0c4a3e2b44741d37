"""What is known of one tensor, and of one storage, while it may be alive."""

from __future__ import annotations

import weakref

from inplace.facts.model import CounterId, StateId, StorageId, TensorId


class LiveStorage:
    """A storage that may still be alive: `users` counts the recorded tensors that reach it.

    It is `split` where they do not all share one version counter: what one counts, the others do not show.
    """

    __slots__ = ("id", "key", "pointer", "split", "users")

    id: StorageId
    key: int
    pointer: int
    split: bool
    users: int


class TensorRef(weakref.ref):  # type: ignore[type-arg]
    """A weak reference that carries what we know of its tensor, so that one object serves both.

    `version` and `pointer` are what tells whether the tensor is still in `state`; None and 0 where it has none.
    `live` is None where the storage can't be read or was not asked for; in the latter case `node` is the number of the
    node that gave the tensor out, -1 for none. One that is `lost` must not be read any more.
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

"""Finds whose bytes lie at an address.

NOTE [ Size classes ]
A block of up to 2**k bytes lies in at most two of the stretches of 2**k bytes that memory falls into, and is kept under
both. So one look at each size that occurs finds the block around an address, however many there are.

NOTE [ Owners, not blocks ]
What is kept under a stretch is the owner itself, and a list of them only where there are several: the cyclic collector
comes the more often the more containers are made, and looks at each of them. Where its bytes are now is asked when
somebody looks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inplace.capture.tables.refs import LiveStorage, SecondStorage, TensorRef

_MOST = 512  # blocks, from which on those of the dead are forgotten
_KINDS = 64  # sizes of stretches: an address has no more bits

Owner = LiveStorage | SecondStorage | TensorRef


class Memory:
    """The blocks of bytes of some owners, which are known by weak references: those of the dead are no longer there.

    Args:
        size_of: the bytes that an owner has at its pointer now, 0 where it owns none any more.
    """

    def __init__(self, size_of: Callable[[Owner], int]) -> None:
        self._size_of = size_of
        self._stretches: dict[int, Owner | list[Owner]] = {}  # by their number, and the k of their size
        self._kinds: set[int] = set()
        self._count = 0
        self._most = _MOST

    def add(self, start: int, size: int, owner: Owner) -> None:
        """Note the block that an owner has now; one without an address or bytes is none."""
        if not start or not size:
            return
        kind = (size - 1).bit_length()
        self._kinds.add(kind)
        first, last = start >> kind, start + size - 1 >> kind
        self._add_under(first * _KINDS + kind, owner)
        if last != first:
            self._add_under(last * _KINDS + kind, owner)
        self._count += 1
        if self._count > self._most:
            self._forget_dead()

    def _add_under(self, key: int, owner: Owner) -> None:
        there = self._stretches.get(key)
        if there is None:
            self._stretches[key] = owner
        else:
            others = [one for one in _owners(there) if one is not owner and one() is not None]
            self._stretches[key] = [*others, owner] if others else owner

    def owner_of(self, start: int, size: int) -> Owner | None:
        """Who has a block that holds so many bytes at an address."""
        if not start or not size:
            return None
        for kind in self._kinds:
            for owner in _owners(self._stretches.get((start >> kind) * _KINDS + kind)):
                if self.holds(owner, start, size):
                    return owner
        return None

    def holds(self, owner: Owner, start: int, size: int) -> bool:
        """Whether an owner lives and has so many bytes at an address."""
        begin = owner.pointer
        return begin <= start and owner() is not None and start + size <= begin + self._size_of(owner)

    def _forget_dead(self) -> None:
        living = {id(one): one for some in self._stretches.values() for one in _owners(some) if one() is not None}
        self._stretches, self._kinds = {}, set()
        self._count, self._most = 0, 2 * len(living) + _MOST
        for owner in living.values():
            self.add(owner.pointer, self._size_of(owner), owner)


def _owners(there: Owner | list[Owner] | None) -> Sequence[Owner]:
    """Those that are kept under one stretch."""
    if there is None:
        return ()
    return there if isinstance(there, list) else (there,)

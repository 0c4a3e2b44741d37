"""Finds whose bytes lie at an address.

NOTE [ Size classes ]
A block of up to 2**k bytes lies in at most two of the stretches of 2**k bytes that memory falls into, and is kept under
both. So one look at each size that occurs finds the block around an address, however many there are.
"""

from __future__ import annotations

from inplace.capture.tables.refs import LiveStorage, SecondStorage, TensorRef

_MOST = 512  # blocks, from which on those of the dead are forgotten

Owner = LiveStorage | SecondStorage | TensorRef
Block = tuple[int, int, Owner]  # where it begins, where it ends, and whose it is


class Memory:
    """The blocks of bytes of some owners, which are known by weak references: those of the dead are no longer there."""

    def __init__(self) -> None:
        self._stretches: dict[int, dict[int, list[Block]]] = {}  # by the k of their size, and by their number
        self._count = 0
        self._most = _MOST

    def add(self, start: int, size: int, owner: Owner) -> None:
        """Note a block; one without an address or bytes is none."""
        if not start or not size:
            return
        kind = (size - 1).bit_length()
        stretches = self._stretches.setdefault(kind, {})
        for number in {start >> kind, start + size - 1 >> kind}:
            stretches[number] = [*filter(_is_there, stretches.get(number, ())), (start, start + size, owner)]
        self._count += 1
        if self._count > self._most:
            self._forget_dead()

    def owner_of(self, start: int, size: int) -> Owner | None:
        """Who has a block that holds so many bytes at an address."""
        if not start or not size:
            return None
        for kind, stretches in self._stretches.items():
            for block in stretches.get(start >> kind, ()):
                if block[0] <= start and start + size <= block[1] and _is_there(block):
                    return block[2]
        return None

    def _forget_dead(self) -> None:
        blocks: dict[tuple[int, int], Block] = {}
        for stretches in self._stretches.values():
            for some in stretches.values():
                blocks.update({(block[0], id(block[2])): block for block in some if _is_there(block)})
        self._stretches, self._count, self._most = {}, 0, 2 * len(blocks) + _MOST
        for start, stop, owner in blocks.values():
            self.add(start, stop - start, owner)


def _is_there(block: Block) -> bool:
    """Whether the owner of a block is alive, and has not moved."""
    return block[2]() is not None and block[2].pointer == block[0]

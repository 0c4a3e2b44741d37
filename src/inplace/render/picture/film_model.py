"""The film of a storage as plain values: what each call had to do with its bytes, and who keeps them for backward."""

from __future__ import annotations

from dataclasses import dataclass

MADE, WRITTEN, TAKEN, SHARED, KEPT, BACKWARD, UNSEEN = 1, 2, 4, 8, 16, 32, 64
"""What a call had to do with the bytes: it made them, wrote them, took their values, gave another tensor over them, had
a node keep them for backward, went backward through such a node; or they were changed before it and no call did so."""


@dataclass(frozen=True, slots=True)
class NameSpan:
    """A name of a tensor after the call `since`, until the call `until` gives it to another (-1: to the end).

    `since` is None where it is not known when the tensor got it: it was seen at the end. `scope` is the function whose
    variable it is, empty for a variable of the cell.
    """

    name: str
    since: int | None
    until: int
    scope: str


@dataclass(frozen=True, slots=True)
class Hold:
    """A tensor that a node keeps for backward, from the call `since` that made the node (-1: before all).

    `backwards` are the backward calls that went through the node, `saved` is the version that it keeps.
    `stale` where its version had moved on when autograd was asked for it, or its bytes were changed unseen.
    """

    node: str
    tensor: int
    since: int
    backwards: tuple[int, ...]
    saved: int | None
    stale: bool


@dataclass(frozen=True, slots=True)
class Film:
    """What happened to a storage, in order: (step, tensor, act) in columns, `steps` as differences to the previous one.

    A tensor of -2 - n is one that is not drawn, with the byte ranges `parts[n]`; -1 is one of which no bytes are told,
    or nobody. `hidden` counts rows left out, which lie behind row `gap`.
    """

    steps: tuple[int, ...] = ()
    tensors: tuple[int, ...] = ()
    acts: tuple[int, ...] = ()
    parts: tuple[tuple[tuple[int, int], ...], ...] = ()
    gap: int = -1
    hidden: int = 0
    holds: tuple[Hold, ...] = ()
    holds_hidden: int = 0

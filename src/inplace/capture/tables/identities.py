"""Numbers for objects themselves, whatever they are equal to."""

from __future__ import annotations

import weakref
from typing import Any


class Identities:
    """The numbers of objects that may die: an `id` alone is given out again.

    Attributes:
        refs: the objects by their numbers.
        found: the number that an object was given last which had this `id`.
    """

    def __init__(self) -> None:
        self.refs: list[Any] = []
        self.found: dict[int, int] = {}

    def of(self, value: object) -> int | None:
        """The number of an object, None if it was given none."""
        number = self.found.get(id(value))
        return number if number is not None and self.refs[number]() is value else None

    def give(self, value: object) -> None:
        """Give an object the next number."""
        ref = weakref.ref(value)
        self.found[id(value)] = len(self.refs)
        self.refs.append(ref)

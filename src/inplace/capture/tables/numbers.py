"""Small numbers for values that repeat."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

Value = TypeVar("Value", bound=Hashable)


class Numbers(Generic[Value]):
    """Numbers for values, the same for equal ones, from 0 in the order in which they were first asked for.

    Attributes:
        values: what the numbers stand for.
    """

    def __init__(self, values: Iterable[Value] = ()) -> None:
        self.values = list(values)
        self._found = {value: number for number, value in enumerate(self.values)}

    def of(self, value: Value) -> int:
        """The number of a value, given to it now if it has none."""
        found = self._found.get(value)
        if found is None:
            found = self._found[value] = len(self.values)
            self.values.append(value)
        return found

"""What was left out because a bound of ours was reached."""

from __future__ import annotations

from collections.abc import Sequence

from inplace.facts.model import Look, NotLookedAt, Stack, StorageId


class _Times:
    """How often something was left out, and when and where first."""

    __slots__ = ("count", "first", "storage")

    def __init__(self, first: int, storage: StorageId | None) -> None:
        self.first, self.storage, self.count = first, storage, 0


class LeftOut:
    """Counts what was left out, by what it was and where."""

    def __init__(self) -> None:
        self._found: dict[tuple[Look, int, int | None], _Times] = {}

    def note(
        self,
        what: Look,
        bound: int,
        step: int,
        *,
        stack: int | None = None,
        storage: StorageId | None = None,
        count: int = 1,
    ) -> None:
        """Note that something was left out at a step, so many times; of one line's storages the first is named."""
        self._found.setdefault((what, bound, stack), _Times(step, storage)).count += count

    def frozen(self, stacks: Sequence[Stack], stored: Sequence[int]) -> tuple[NotLookedAt, ...]:
        """What was left out as a trace has it; `stacks` and `stored` are what numbers and ids stand for there."""
        return tuple(
            NotLookedAt(
                what,
                bound,
                times.count,
                times.first,
                None if stack is None else stacks[stack],
                None if times.storage is None else StorageId(stored[times.storage]),
            )
            for (what, bound, stack), times in self._found.items()
        )

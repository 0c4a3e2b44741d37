"""Says how far a long look at a recording has come, once it has taken longer than a second."""

from __future__ import annotations

import time
from collections.abc import Callable

Tell = Callable[[float], None]
"""Called with the part that is done, from 0 to 1."""

DELAY = 1.0  # seconds before anything is said
_APART = 0.2  # seconds between two things said
_WIDTH = 24  # cells of the bar


def silent(part: float) -> None:
    """Say nothing."""


class Progress:
    """A bar of text.

    Args:
        say: shows a bar in place of the one before.
        doing: what takes long.
        clock: the time in seconds.
        delay: seconds before anything is said; a second if not told otherwise.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        doing: str,
        clock: Callable[[], float] = time.monotonic,
        delay: float | None = None,
    ) -> None:
        self._say, self._doing, self._clock = say, doing, clock
        self._next = clock() + (DELAY if delay is None else delay)
        self.is_shown = False

    def __call__(self, part: float) -> None:
        """Show how far it is, unless that was shown just now or it has not taken long yet."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + _APART
        self.is_shown = True
        done = round(part * _WIDTH)
        bar = "━" * done + "─" * (_WIDTH - done)
        self._say(f"inplace: {self._doing}  {bar} {part:.0%}")

    def part(self, start: float, stop: float) -> Tell:
        """What tells of a stage that goes from `start` to `stop` of the whole."""
        return lambda part: self(start + (stop - start) * part)

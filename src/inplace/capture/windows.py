"""A recording that may go on for ever: what it was told so far is let go of, but for what can still matter.

NOTE [ Windows ]
A recording grows with each call, and what refers to a call is its number, so no call can be forgotten for itself. But a
session forgets: what is kept of a cell's run for the next one is what can still matter to it (`facts/kept.py`), and the
next run stands behind that. So a long run is recorded as a session of runs, its windows, each ended and looked at after
so many calls. Nothing is undone in between: the mode and all else that we change stay as they are.
A window ends behind the step of an optimizer if one comes soon, so that an iteration is not torn; at the latest when it
is longer by a quarter. None ends while a backward or a collective runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from inplace.facts.model import Trace


@dataclass(frozen=True)
class Windows:
    """How long windows are, and who hears of each but the last, which the recorder's `stop` gives.

    Attributes:
        calls: the calls after which a window ends.
        told: is given the session up to the end of a window, and the window alone.
        are_of_cell: whether what is recorded is a cell of a notebook, behind which others may be run.
    """

    calls: int
    told: Callable[[Trace, Trace], None]
    are_of_cell: bool = False

    @property
    def most(self) -> int:
        """The calls after which it ends wherever it is."""
        return self.calls + self.calls // 4

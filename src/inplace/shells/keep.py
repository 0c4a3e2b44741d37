"""How much a recording that may go on for ever keeps: one way to say it for the command line, magics and Python.

It is the memory of a window, in megabytes: calls are let go of when so much has been recorded since the last time. What
is alive by then stays, whatever its size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

WINDOW = 64.0
"""Megabytes of a window where `keep` is only switched on."""

LEAST = 1.0
"""Megabytes that a window has at least."""

Keep = bool | float | str | None
"""What can be said: whether, or a number of megabytes, as text too."""

_CALLS = 312.5  # that a megabyte holds while they are recorded and looked at
_OFF, _ON = frozenset({"off", "no", "false"}), frozenset({"", "on", "yes", "true"})


def window_of(keep: Keep, said: str = "keep") -> float | None:
    """The megabytes of a window, None where every call is to be kept.

    Args:
        keep: what was asked for.
        said: how it is called where that was.

    Raises:
        ValueError: if it is neither a switch nor a number of megabytes from `LEAST` on.
    """
    if keep is None or isinstance(keep, bool):
        return WINDOW if keep else None
    text = str(keep).strip().lower()
    if isinstance(keep, str) and text in _OFF | _ON:
        return WINDOW if text in _ON else None
    try:
        found = float(text.removesuffix("mb"))
    except ValueError:
        found = math.nan
    if not LEAST <= found < math.inf:
        raise ValueError(
            f"{said} takes the megabytes of a window, {LEAST:g} or more ({WINDOW:g} where none are given), not {keep!r}"
        )
    return found


def calls_of(window: float) -> int:
    """The calls after which a window of so many megabytes ends."""
    return round(window * _CALLS)


def first_needing(window: float | None, asked: Mapping[str, object]) -> str | None:
    """The first of some options that was asked for, where calls are let go of; None where there is none."""
    return None if window is None else next((option for option, given in asked.items() if given), None)


def refused(option: str, keep: str = "--keep") -> str:
    """That an option needs what was let go of, in one sentence without its end."""
    return f"{keep} lets go of calls, and {option} needs all of them: leave one of the two out"

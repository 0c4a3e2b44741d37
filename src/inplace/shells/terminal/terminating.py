"""A child that its parent tells to end hears it: see NOTE [ SIGTERM ] in `signals`."""

from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inplace.capture.patches.ledger import Ledger

_PAUSE = 0.001  # seconds until a child is told again, twice as many each time
_LONGEST = 0.05  # seconds
_PATIENCE = 3.0  # seconds until a child that does not hear is killed
_ledger = Ledger()  # never undone: Python ends the children that are left when it ends itself
_marks: list[Callable[[int], Path]] = []


def see_children_end(mark_of: Callable[[int], Path]) -> None:
    """Have `Process.terminate` return only when a child with a mark has begun to end; for the rest of this process.

    Args:
        mark_of: gives the mark of a process.
    """
    if os.name != "posix":
        return
    from multiprocessing.popen_fork import Popen

    if not _marks:
        _ledger.replace(Popen, "_send_signal", _sent)
    if mark_of not in _marks:
        _marks.append(mark_of)


def _sent(theirs: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(theirs)
    def _send_signal(popen: Any, number: int) -> None:
        theirs(popen, number)
        if number == signal.SIGTERM and not _has_heard(popen, lambda: theirs(popen, number)):
            theirs(popen, signal.SIGKILL)
            if popen.wait() == -signal.SIGKILL:
                popen.returncode = -signal.SIGTERM  # as it would have ended without us

    return _send_signal


def _has_heard(popen: Any, again: Callable[[], None]) -> bool:
    """Whether a child has ended or begun to, or is none that has to begin; it is told again until our patience ends."""
    from multiprocessing.connection import wait

    marks = [mark_of(popen.pid) for mark_of in _marks]
    until, pause = time.monotonic() + _PATIENCE, _PAUSE
    while any(mark.exists() for mark in marks):
        if popen.returncode is not None or wait([popen.sentinel], pause):
            return True
        if time.monotonic() > until:
            return False
        again()
        pause = min(2 * pause, _LONGEST)
    return True

"""What a fault of ours costs: a note, never the user's run."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from inplace.capture.tables.call_log import WIDTH

# What a fault of ours may cost besides the calls.
NAMES, GRAPHS, GRADIENTS = "Not all names", "Not all graphs", "Not all of what happened to gradients"
EARLIER = "Not all of what earlier cells did"
ERROR = "Not all of the error"
SAMPLES = "Not all writes that no call shows"
BUFFERS = "Not all buffers that DistributedDataParallel overwrote"


class Faults:
    """Catches what goes wrong on our side of one recording, and notes it.

    Args:
        switch_off: ends the noting of calls.

    Attributes:
        gave_up: whether no tensor is to be looked at any more.
    """

    def __init__(self, switch_off: Callable[[], None]) -> None:
        self._switch_off = switch_off
        self._lost: set[str] = set()  # what was said to be lost
        self.gave_up = False
        self._notes: list[str] = []
        self._calls: array[int] = array("i")

    def turn_to(self, notes: list[str], calls: array[int]) -> None:
        """Add to these notes from now on; `calls` are the rows of the calls that were noted."""
        self._notes, self._calls = notes, calls

    def protected(self, action: Callable[..., None], *args: Any) -> None:
        """Do what the recording can't go on without: it ends where that fails."""
        try:
            with torch._C.DisableTorchFunction():  # our reads are no calls of the user's
                action(*args)
        except BaseException as fault:
            self.fault(fault)
            if not isinstance(fault, Exception):
                raise

    def spared(self, what: str, action: Callable[..., Any], *args: Any) -> Any:
        """Do what can fail without harm to the rest, and give its result; None where it has failed."""
        try:
            with torch._C.DisableTorchFunction():
                return action(*args)
        except Exception as fault:
            self.lose(what, fault)
            return None
        except BaseException as interrupt:
            self.fault(interrupt)
            raise

    def lose(self, what: str, fault: Exception) -> None:
        """Say once that a fault of ours has cost a part of what is noted besides the calls."""
        if what not in self._lost:
            self._lost.add(what)
            self._notes.append(
                f"{what} could be noted because of a fault of ours {_told(fault)}. The rest was recorded, and your "
                "code was not affected; please report it."
            )

    def fault(self, error: BaseException) -> None:
        """Our own code failed, or was interrupted: note no more calls, and say so."""
        self._switch_off()
        if not isinstance(error, Exception):
            self._note_stop(f": {type(error).__name__} came while we noted it. Your code was not affected.")
            return
        self._note_stop(f" because of a fault of ours {_told(error)}. Your code was not affected; please report it.")

    def leave_off(self, why: str) -> None:
        """Note no more calls, for a reason in a sentence, and look at no tensor again."""
        self._switch_off()
        self.gave_up = True
        self._note_stop(f": {why} Your code was not affected.")

    def _note_stop(self, why: str) -> None:
        calls = len(self._calls) // WIDTH  # not by a method of ours, which may be what failed
        self._notes.append(f"Recording stopped after call {calls}{why}")


def _told(fault: BaseException) -> str:
    """Where a fault of ours was, and what it says."""
    where = fault.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    line = f"{Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno}" if where is not None else "?"
    return f"at {line} ({type(fault).__name__}: {fault})"

"""Calls a function with no frame of Python's below it, as Python itself calls the code of a script.

`sys._getframe(1)`, `warnings.warn(stacklevel=2)`, `logging` and `inspect.stack()` look at what stands below a script.
A greenlet has a stack of frames of its own, in the same thread and on the same stack of C.

NOTE [ The recursion limit ]
A greenlet goes on counting from the depth of whoever begins it, so a script would meet the limit as many frames earlier
as stand below it. So the limit is higher by these meanwhile, and `sys` speaks of it as it is for the script.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import greenlet

from inplace.capture.patches.ledger import Ledger

# Nobody is to find imported what they did not import; who imports it again is given the same.
for _name in [name for name in sys.modules if name.partition(".")[0] == "greenlet"]:
    del sys.modules[_name]

_COUNTS_CALLS = sys.version_info < (3, 12)  # whether calls of built-in functions count as levels, as frames do


def call_below_nothing(function: Callable[..., Any], *args: Any) -> Any:
    """What a built-in function gives out, or raises, where it is called on an empty stack."""
    contextvars.copy_context()  # has this thread make its context, if nobody has
    lower = greenlet.greenlet(function)
    lower.gr_context = greenlet.getcurrent().gr_context  # what is set in it stays set when the script has ended
    with _deeper(_levels(sys._getframe())):
        return lower.switch(*args)


def _levels(frame: FrameType | None) -> int:
    """The levels of recursion that stand below what a greenlet begun in a frame runs."""
    levels = 2 * _COUNTS_CALLS  # to switch to it, and to begin the function
    while frame is not None:
        levels += 1
        if frame.f_code.co_name == "_run_code" and "runpy" in frame.f_code.co_filename:
            levels += _COUNTS_CALLS  # it calls `exec`
        frame = frame.f_back
    return levels


@contextlib.contextmanager
def _deeper(levels: int) -> Iterator[None]:
    """The recursion limit is higher by some levels of which nobody is told."""
    ledger = Ledger()
    sys.setrecursionlimit(sys.getrecursionlimit() + levels)
    try:
        ledger.replace(sys, "getrecursionlimit", functools.partial(_told, levels))
        ledger.replace(sys, "setrecursionlimit", functools.partial(_set, levels))
        yield
    finally:
        ledger.undo()
        with contextlib.suppress(RecursionError):  # one that the script has made lower than our own frames
            sys.setrecursionlimit(sys.getrecursionlimit() - levels)


def _told(levels: int, theirs: Callable[[], int]) -> Callable[[], int]:
    @functools.wraps(theirs)
    def getrecursionlimit() -> int:
        return theirs() - levels

    return getrecursionlimit


def _set(levels: int, theirs: Callable[[Any], None]) -> Callable[[Any], None]:
    @functools.wraps(theirs)
    def setrecursionlimit(limit: Any, /) -> None:
        theirs(limit + levels if isinstance(limit, int) and limit > 0 else limit)

    return setrecursionlimit

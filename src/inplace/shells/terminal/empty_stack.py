"""Calls a function with no frame of Python's below it, as Python itself calls the code of a script.

`sys._getframe(1)`, `warnings.warn(stacklevel=2)`, `logging` and `inspect.stack()` look at what stands below a script.
A greenlet has a stack of frames of its own, in the same thread and on the same stack of C. It goes on from the depth of
whoever begins it, so the recursion limit counts our frames still; see docs/limits.md.
"""

from __future__ import annotations

import contextvars
import sys
from collections.abc import Callable
from typing import Any

import greenlet

# Nobody is to find imported what they did not import; who imports it again is given the same.
for _name in [name for name in sys.modules if name.partition(".")[0] == "greenlet"]:
    del sys.modules[_name]


def call_below_nothing(function: Callable[..., Any], *args: Any) -> Any:
    """What a built-in function gives out, or raises, where it is called on an empty stack."""
    contextvars.copy_context()  # has this thread make its context, if nobody has
    lower = greenlet.greenlet(function)
    lower.gr_context = greenlet.getcurrent().gr_context  # what is set in it stays set when the script has ended
    return lower.switch(*args)

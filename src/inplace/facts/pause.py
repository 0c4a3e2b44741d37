"""Puts Python's cyclic garbage collector off while we make many objects that are no garbage.

It would go over all of them again and again: a third of the time that a million calls take to be looked at.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


def no_collection() -> Callable[[Callable[_Args, _Result]], Callable[_Args, _Result]]:
    """Of a function: no cyclic garbage is collected while it runs; afterwards it is as the user has set it."""

    def decorate(function: Callable[_Args, _Result]) -> Callable[_Args, _Result]:
        @functools.wraps(function)
        def run(*args: _Args.args, **kwargs: _Args.kwargs) -> _Result:
            enabled = gc.isenabled()
            try:  # a context manager could be interrupted between its beginning and the block
                gc.disable()
                return function(*args, **kwargs)
            finally:
                if enabled:
                    gc.enable()

        return run

    return decorate

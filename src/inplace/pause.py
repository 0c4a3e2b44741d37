"""Puts Python's cyclic garbage collector off while we make many objects that are no garbage.

It would go over all of them again and again: a third of the time that a million calls take to be looked at.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """No cyclic garbage is collected in the block; afterwards it is as the user has set it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()

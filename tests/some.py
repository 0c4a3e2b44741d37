"""Which of many alike are run: a part of them, so that the tests stay short, or all where INPLACE_WHOLE is set.

The matrix sets it: what PyTorch does differs by version, and there time is not short.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

WHOLE = bool(os.environ.get("INPLACE_WHOLE"))


def some(all_of: Iterable[T], one_of: int) -> Iterator[T]:
    """One of so many, from the first on."""
    return islice(all_of, None, None, 1 if WHOLE else one_of)

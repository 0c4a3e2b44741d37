"""Which of many alike are run: a part of them, so that the tests stay short, or all where INPLACE_WHOLE is set.

The matrix sets it: what PyTorch does differs by version, and there time is not short. Of the tests of a function marked
`one_of(3)` every third is run, the first one included; a test marked `whole` is only run with all.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

import pytest

T = TypeVar("T")

WHOLE = bool(os.environ.get("INPLACE_WHOLE"))


def some(all_of: Iterable[T], one_of: int) -> Iterator[T]:
    """One of so many, from the first on."""
    return islice(all_of, None, None, 1 if WHOLE else one_of)


def part(all_of: Iterable[pytest.Item]) -> Iterator[pytest.Item]:
    """The tests that are run where not all are."""
    seen = Counter[str]()
    for test in all_of:
        marker = test.get_closest_marker("one_of")
        if marker is not None:
            function = test.nodeid.partition("[")[0]
            seen[function] += 1
            if seen[function] % marker.args[0] != 1:
                continue
        if test.get_closest_marker("whole") is None:
            yield test

"""The curves over the timeline: bytes that are live at each step, and how many of them are kept for a backward."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate

from inplace.facts.model import BEFORE, StorageId, Trace
from inplace.facts.rows import NOTHING, column
from inplace.reading.trace.history import History

_POINTS = 1_000  # steps at which a curve may turn, twice


def live_bytes(trace: Trace) -> tuple[tuple[int, int], ...]:
    """(step, bytes of the storages that live from then on), in order, thinned so that peaks stay."""
    moved = _still(trace)
    fields = [column(trace.storages, field) for field in ("bytes", "born", "died")]
    for size, born, died in zip(*fields, strict=True):
        moved[born - BEFORE] += size
        if died != NOTHING:
            moved[died + 1 - BEFORE] -= size  # what died after a call was there while it ran
    return _curve(moved)


def kept_bytes(history: History) -> tuple[tuple[int, int], ...]:
    """(step, bytes that saved tensors keep from then on), in order: only graphs that a backward ran through, or may.

    A storage is kept from the call whose node saved it to the last backward that found it there; to the end where the
    graph is still there at the end. Leaves that require grad would live without that, and are left out.
    """
    trace, leaves = history.trace, history.leaf_storages
    first: dict[StorageId, int] = {}
    last: dict[StorageId, int] = {}
    for walk in trace.walks:
        until = walk.step if walk.is_backward else len(trace.calls)
        for use in walk.uses:
            node = trace.node_by_id[use.node]
            storage = node.saved[use.saved].storage
            if storage is None or storage in leaves or node.step is None:
                continue
            first[storage] = min(node.step, first.get(storage, node.step))
            last[storage] = max(until, last.get(storage, until))
    moved = _still(trace)
    for storage, step in first.items():
        size = trace.storages[storage].bytes
        moved[step - BEFORE] += size
        moved[last[storage] + 1 - BEFORE] -= size
    return _curve(moved)


def _still(trace: Trace) -> array[int]:
    """By how many bytes a curve moves at each step, from `BEFORE` to the one after the end: nowhere yet."""
    return array("q", bytes(8 * (len(trace.calls) + 3)))


def _curve(moved: Sequence[int]) -> tuple[tuple[int, int], ...]:
    steps = [step for step, by in enumerate(moved, BEFORE) if by]
    heights = list(accumulate(by for by in moved if by))
    if len(steps) <= 2 * _POINTS:
        return tuple(zip(steps, heights, strict=True))
    size = -(-len(steps) // _POINTS)
    found: list[tuple[int, int]] = []
    for start in range(0, len(steps), size):
        part = heights[start : start + size]
        lowest, highest = part.index(min(part)), part.index(max(part))
        found += [(steps[start + place], part[place]) for place in sorted({lowest, highest})]
    return tuple(found)

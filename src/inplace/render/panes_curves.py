"""The curves over the timeline: bytes that are live at each step, and how many of them are kept for a backward."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

from inplace.model import BEFORE, StorageId, Trace

_POINTS = 1_000  # steps at which a curve may turn, twice


def live_bytes(trace: Trace) -> tuple[tuple[int, int], ...]:
    """(step, bytes of the storages that live from then on), in order, thinned so that peaks stay."""
    moved: defaultdict[int, int] = defaultdict(int)
    for storage in trace.storages:
        moved[max(storage.born, BEFORE)] += storage.bytes
        if storage.died is not None:
            moved[storage.died + 1] -= storage.bytes  # what died after a call was there while it ran
    return _curve(moved)


def kept_bytes(trace: Trace) -> tuple[tuple[int, int], ...]:
    """(step, bytes that saved tensors keep from then on), in order: only graphs that a backward ran through, or may.

    A storage is kept from the call whose node saved it to the last backward that found it there; to the end where the
    graph is still there at the end. Leaves that require grad would live without that, and are left out.
    """
    leaves = {state.storage for state in trace.states if state.is_leaf and state.requires_grad}
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
    moved: defaultdict[int, int] = defaultdict(int)
    for storage, step in first.items():
        size = trace.storages[storage].bytes
        moved[step] += size
        moved[last[storage] + 1] -= size
    return _curve(moved)


def _curve(moved: Mapping[int, int]) -> tuple[tuple[int, int], ...]:
    curve, height = [], 0
    for step in sorted(moved):
        height += moved[step]
        curve.append((step, height))
    return tuple(_thinned(curve, lambda point: point[1]))


def _thinned(curve: list[tuple[int, int]], height: Callable[[tuple[int, int]], int]) -> list[tuple[int, int]]:
    if len(curve) <= 2 * _POINTS:
        return curve
    size = -(-len(curve) // _POINTS)
    found = []
    for start in range(0, len(curve), size):
        part = curve[start : start + size]
        found += sorted({min(part, key=height), max(part, key=height)})
    return found

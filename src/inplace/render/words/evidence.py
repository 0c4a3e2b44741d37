"""What was measured of a finding, where that says more than the sentences do: which bytes were saved and written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from inplace.checks.finding import Broken, Finding
from inplace.facts.model import Layout, StorageId, Trace
from inplace.reading.trace.extents import Span, pieces, shared_ranges

_MOST = 3  # ranges told of one tensor


def evidence(finding: Finding, trace: Trace) -> str:
    """The bytes that were saved and those that were written, where they are not the same; empty where they are."""
    broken, storage = finding.broken(), next(iter(finding.storages()), None)
    if broken is None or storage is None:
        return ""
    saved = list(_merged(_saved(broken, storage, trace)))
    written = list(_merged(_written(finding, storage, trace)))
    if not saved or not written or saved == written:
        return ""
    both = f"Of {trace.storage(storage).bytes} bytes, {_told(saved)} were saved and {_told(written)} written"
    if any(shared_ranges([tuple(saved), tuple(written)])):
        return f"{both}."
    return f"{both}: no byte of one is a byte of the other."


def _saved(broken: Broken, storage: StorageId, trace: Trace) -> Iterator[Span]:
    node = trace.node_by_id.get(broken.node)
    for saved in node.saved if node is not None else ():
        if saved.name == broken.saved and saved.storage == storage and saved.layout is not None:
            yield from pieces(saved.offset, saved.layout)[0]


def _written(finding: Finding, storage: StorageId, trace: Trace) -> Iterator[Span]:
    for place in finding.culprits:
        if place.step is None or not 0 <= place.step < len(trace.calls):
            continue
        for argument in trace.writes(trace.calls[place.step]):
            state = trace.states[argument.before]
            if state.storage == storage:
                yield from _of(storage, state.offset, state.layout, trace)


def _of(storage: StorageId, offset: int, layout: Layout, trace: Trace) -> Iterator[Span]:
    """The bytes of a layout, held to those that the storage has."""
    most = trace.storage(storage).bytes
    yield from ((start, min(stop, most)) for start, stop in pieces(offset, layout)[0] if start < most)


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    """Ranges in order, those that touch made one."""
    begin, end = 0, -1
    for start, stop in sorted(spans):
        if start > end:
            if end >= 0:
                yield begin, end
            begin, end = start, stop
        end = max(end, stop)
    if end >= 0:
        yield begin, end


def _told(spans: list[Span]) -> str:
    shown = [f"{start} to {stop}" for start, stop in spans[:_MOST]]
    if len(spans) > _MOST:
        return f"{', '.join(shown)} and {len(spans) - _MOST} more ranges"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]

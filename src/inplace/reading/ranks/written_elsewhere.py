"""Which process wrote the bytes that another one found changed: traces of several processes, told of each other.

NOTE [ Written by another process ]
A process that finds bytes changed which no call of its own wrote can only tell the line it was on meanwhile. Where
those lie in shared memory that another recorded process has too, whose calls wrote them, it is that one's line: it is
put in the place of the other. Of several lines that wrote the same bytes each is named: when one process wrote is not
compared with when the other looked. Where no recorded call of another wrote them, it is only known who has them; and
where this process has handed them to somebody outside PyTorch, its own line stays beside the others'.

What another process changes outside PyTorch (numpy) is noticed there as a change too, at its line or, in turn, at an
innocent one. It counts as written there where that process alone has handed the bytes to somebody outside.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

from inplace.facts.model import ARRAYS, ContentChange, Kind, Site, Source, Stack, StackFrame, TensorState, Trace
from inplace.facts.rows import call_columns, some
from inplace.reading.trace.extents import pieces

_MOST = 8  # lines of other processes that are named for one change
_GIVES_MEMORY = frozenset({Kind.SETTER, Kind.EXPORT})  # they write no byte: `p.data = p.data.share_memory_()`
_Item = TypeVar("_Item", Source, Site)
Memory = tuple[str, str]  # the machine, and what it calls the memory


def told_of_each_other(traces: Sequence[Trace]) -> list[Trace]:
    """Traces of several processes, in each of which stands what the others wrote into memory that it shares."""
    views = [_View(trace) for trace in traces]
    having: dict[Memory, list[_View]] = defaultdict(list)
    for view in views:
        for memory in {memory for memory, _, _ in view.places.values()}:
            having[memory].append(view)
    return [_told(view, having) for view in views]


@dataclass
class _Written:
    """The bytes of one memory that one line of a process wrote, as ranges in order that do not touch."""

    found: set[tuple[int, int]] = field(default_factory=set)
    starts: list[int] = field(default_factory=list)
    stops: list[int] = field(default_factory=list)

    def settle(self) -> None:
        """Put the ranges in order, once all have been found."""
        for start, stop in sorted(self.found):
            if self.stops and start <= self.stops[-1]:
                self.stops[-1] = max(self.stops[-1], stop)
            else:
                self.starts.append(start)
                self.stops.append(stop)

    def touches(self, start: int, stop: int) -> bool:
        """Whether a byte of a range was written."""
        return bisect_right(self.stops, start) < bisect_left(self.starts, stop)


class _View:
    """One process: what of its memory is shared, and which line wrote which bytes of it."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        process = trace.process
        self.host, self.pid = ("", 0) if process is None else (process.host, process.pid)
        self.places = {one.storage: ((self.host, one.memory), one.start, one.since) for one in trace.shared}

    @cached_property
    def written(self) -> dict[Memory, dict[Stack, _Written]]:
        """The lines whose calls wrote shared memory, and the bytes of it."""
        trace, found = self.trace, defaultdict[Memory, dict[Stack, _Written]](lambda: defaultdict(_Written))
        for call in some(trace.calls, call_columns(trace.calls).may_write if self.places else ()):
            if call.raised is not None or call.function.kind in _GIVES_MEMORY:
                continue
            for argument in trace.writes(call):
                state = trace.states[argument.after]
                place = self.places.get(state.storage) if state.storage is not None else None
                if place is not None and call.step >= place[2]:
                    found[place[0]][call.stack].found.update(_ranges(state, place[1]))
        for lines in found.values():
            for one in lines.values():
                one.settle()
        return dict(found)

    def hands_out(self, memory: Memory) -> bool:
        """Whether this process has handed a memory to somebody outside PyTorch."""
        return memory in self._handed_out

    @cached_property
    def _handed_out(self) -> set[Memory]:
        trace = self.trace
        steps = call_columns(trace.calls).steps_of(lambda function: function.label in ARRAYS) if self.places else ()
        given = (trace.states[one.before].storage for call in some(trace.calls, steps) for one in call.inputs)
        return {self.places[storage][0] for storage in given if storage is not None and storage in self.places}

    def changed(self, memory: Memory) -> Iterator[tuple[Stack, int, int]]:
        """The lines at which bytes of a memory were found changed, and the bytes of it."""
        for change in self.trace.changes:
            place = self.places.get(change.storage)
            if place is not None and place[0] == memory and change.stack is not None and not change.processes:
                yield change.stack, place[1] + change.start, place[1] + change.stop


def _ranges(state: TensorState, start: int) -> Iterator[tuple[int, int]]:
    parts, _ = pieces(state.offset, state.layout)
    return ((start + begin, start + end) for begin, end in parts)


def _told(view: _View, having: dict[Memory, list[_View]]) -> Trace:
    """One trace with what the others say of its memory, but for those of which it was told before."""
    others: dict[Memory, list[_View]] = {}
    for one in view.trace.shared:
        known = having[view.host, one.memory]
        others[view.host, one.memory] = [o for o in known if o is not view and o.pid not in one.processes]
    if not any(others.values()):
        return view.trace
    telling = _Telling(view, others)
    changes = tuple(told for change in view.trace.changes for told in telling.of(change))
    shared = tuple(
        replace(one, processes=tuple(sorted({*one.processes, *(o.pid for o in others[view.host, one.memory])})))
        for one in view.trace.shared
    )
    return replace(
        view.trace, changes=changes, shared=shared, sources=tuple(telling.sources), sites=tuple(telling.sites)
    )


class _Telling:
    """Puts the lines of other processes into a trace.

    Attributes:
        sources: the sources of the trace, and those of the lines that were put in.
        sites: the same of the sites.
    """

    def __init__(self, view: _View, others: dict[Memory, list[_View]]) -> None:
        self._view, self._others = view, others
        self.sources, self.sites = list(view.trace.sources), list(view.trace.sites)
        self._numbers: dict[Source | Site, int] = {}
        for number, source in enumerate(self.sources):
            self._numbers.setdefault(source, number)
        for number, site in enumerate(self.sites):
            self._numbers.setdefault(site, number)

    def of(self, change: ContentChange) -> list[ContentChange]:
        """A change as it is told: as one at the lines of others that wrote those bytes, if there are any."""
        place = self._view.places.get(change.storage)
        if place is None or change.processes:
            return [change]
        memory, start, _ = place
        writers: dict[Stack, set[int]] = defaultdict(set)
        for other, stack in self._lines(memory, start + change.start, start + change.stop):
            writers[self._stack(other, stack)].add(other.pid)
        told = [replace(change, stack=stack, processes=tuple(sorted(who))) for stack, who in writers.items()][:_MOST]
        return [change, *told] if not told or self._view.hands_out(memory) else told

    def _lines(self, memory: Memory, start: int, stop: int) -> Iterator[tuple[_View, Stack]]:
        """The lines of others that wrote some bytes."""
        others = self._others[memory]
        found = [
            (other, stack)
            for other in others
            for stack, one in other.written.get(memory, {}).items()
            if one.touches(start, stop)
        ]
        yield from found
        outside = [other for other in others if other.hands_out(memory)]
        if not found and len(outside) == 1 and not self._view.hands_out(memory):
            for stack, begin, end in outside[0].changed(memory):
                if begin < stop and start < end:
                    yield outside[0], stack

    def _stack(self, other: _View, stack: Stack) -> Stack:
        """A stack of another trace as one of this trace."""
        return Stack(tuple(StackFrame(self._site(other, frame.site), frame.entry) for frame in stack.frames))

    def _site(self, other: _View, number: int) -> int:
        site = other.trace.sites[number]
        source = _number(self._numbers, self.sources, other.trace.sources[site.source])
        return _number(self._numbers, self.sites, replace(site, source=source))


def _number(numbers: dict[Source | Site, int], known: list[_Item], item: _Item) -> int:
    """The place of an item among those known, at their end if it is new."""
    if item not in numbers:
        numbers[item] = len(known)
        known.append(item)
    return numbers[item]

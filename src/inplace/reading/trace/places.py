"""Where the user's code made the calls, nodes and stacks of a trace."""

from __future__ import annotations

import ast
from functools import cached_property

from inplace.facts.model import Call, Position, Site, Source, Stack, StackFrame, Trace
from inplace.facts.source_code import node_position
from inplace.reading.source.code import Code
from inplace.reading.trace.place import Place

_APPLY = ("Function.apply", "apply")


class Places:
    """The places of one trace, and its parsed sources."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._spots: dict[int, tuple[str, str, Position, str]] = {}

    @cached_property
    def codes(self) -> tuple[Code, ...]:
        """The parsed sources."""
        return tuple(Code(source) for source in self._trace.sources)

    def site(self, frame: StackFrame) -> Site:
        """The site of a frame."""
        return self._trace.sites[frame.site]

    def of(self, call: Call) -> Place | None:
        """The innermost line of the user's that made a call."""
        return self.of_stack(call.stack, call.step)

    def chain(self, call: Call) -> tuple[Place, ...]:
        """The innermost line of the user's, and the innermost line of the recorded cell where that is another file."""
        return self.chain_of(call.stack, call.step)

    def of_stack(self, stack: Stack, step: int | None) -> Place | None:
        """The innermost place of a stack."""
        return self.at(stack.frames[0], step) if stack.frames else None

    def chain_of(self, stack: Stack, step: int | None) -> tuple[Place, ...]:
        """The innermost place, and the innermost one in the recorded cell where that is in another file."""
        found = [self.at(frame, step) for frame in stack.frames[:1]]
        sources = self._trace.sources
        if found and not sources[self.site(stack.frames[0]).source].is_cell:
            in_cell = next((f for f in stack.frames if sources[self.site(f).source].is_cell), None)
            if in_cell is not None:
                found.append(self.at(in_cell, step))
        return tuple(found)

    def at(self, frame: StackFrame, step: int | None) -> Place:
        """The place of one frame."""
        found = self._spots.get(frame.site)
        if found is None:
            site = self.site(frame)
            source, code = self._trace.sources[site.source], self.codes[site.source]
            position = code.whole(site.position)
            found = self._spots[frame.site] = (source.label, source.file, position, code.text(position))
        return Place(*found, step)

    def in_source(self, source: int, position: Position, step: int | None = None) -> Place:
        """A range of a source, by its number; at a call's step, if one was made there."""
        found = self._trace.sources[source]
        return Place(found.label, found.file, position, self.codes[source].text(position), step)

    def beside(self, place: Place, position: Position) -> Place:
        """Another range of the source that a place is in, where no recorded call was made."""
        return Place(place.label, place.file, position, self.code(place).text(position), None)

    def are_one_line(self, one: Place, other: Place) -> bool:
        """Whether two places are one piece of the source, of a cell that is run again too."""
        return one.position == other.position and self.are_in_one_source(one, other)

    def are_in_one_source(self, one: Place, other: Place) -> bool:
        """Whether two places are in one file or cell. Each run of a cell may have a file, and is known by its text."""
        first, second = self._source(one), self._source(other)
        return first is second or (first.text is not None and first.text == second.text)

    def node_at(self, frame: StackFrame) -> ast.expr | ast.stmt | None:
        """The expression or statement at which a frame stands."""
        site = self.site(frame)
        return self.codes[site.source].source_code.node(site.position)

    def node_of(self, call: Call) -> ast.expr | ast.stmt | None:
        """The expression or statement of the user's that made a call, as a whole."""
        place = self.of(call)
        return None if place is None else self.code(place).source_code.node(place.position)

    def code(self, place: Place) -> Code:
        """The parsed source a place is in."""
        return self.codes[self._number_of(place)]

    def _source(self, place: Place) -> Source:
        return self._trace.sources[self._number_of(place)]

    def _number_of(self, place: Place) -> int:
        for number, source in enumerate(self._trace.sources):
            if source.file == place.file and source.label == place.label:
                return number
        raise KeyError(place.file)

    def statement_of(self, call: Call) -> tuple[str, Position] | None:
        """A key for the statement of the user's that made a call."""
        place = self.of(call)
        if place is None:
            return None
        statement = self.code(place).statement(place.position)
        return place.file, place.position if statement is None else node_position(statement)

    def apply_frame(self, call: Call) -> StackFrame | None:
        """The user's frame that called `Function.apply`, where a call ran inside a custom function's forward."""
        return self.apply_frame_of(call.stack)

    def apply_frame_of(self, stack: Stack) -> StackFrame | None:
        """The same of a stack."""
        return next((f for f in stack.frames if f.entry in _APPLY), None)

"""One pass over a trace that every check shares: who wrote, who made, where, and by which names."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property

from inplace.facts.model import (
    Argument,
    Call,
    GradMode,
    Kind,
    NodeId,
    Position,
    Site,
    Stack,
    StackFrame,
    StorageId,
    TensorId,
    TensorState,
    Trace,
)
from inplace.reading.code import Code, root_of
from inplace.reading.history import History
from inplace.reading.place import Place

_APPLY = ("Function.apply", "apply")


class Index(History):
    """Look-ups over one trace, computed when first asked for."""

    def __init__(self, trace: Trace) -> None:
        super().__init__(trace)
        self._spots: dict[int, tuple[str, str, Position, str]] = {}

    # ------------------------------------------------------------ places

    @cached_property
    def codes(self) -> tuple[Code, ...]:
        """The parsed sources."""
        return tuple(Code(source) for source in self.trace.sources)

    def site(self, frame: StackFrame) -> Site:
        """The site of a frame."""
        return self.trace.sites[frame.site]

    def place(self, call: Call) -> Place | None:
        """The innermost line of the user's that made a call."""
        return self.place_of(call.stack, call.step)

    def places(self, call: Call) -> tuple[Place, ...]:
        """The innermost line of the user's, and the innermost line of the recorded cell where that is another file."""
        return self.places_of(call.stack, call.step)

    def place_of(self, stack: Stack, step: int | None) -> Place | None:
        """The innermost place of a stack."""
        return self.at(stack.frames[0], step) if stack.frames else None

    def places_of(self, stack: Stack, step: int | None) -> tuple[Place, ...]:
        """The innermost place, and the innermost one in the recorded cell where that is in another file."""
        found = [self.at(frame, step) for frame in stack.frames[:1]]
        sources = self.trace.sources
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
            source, code = self.trace.sources[site.source], self.codes[site.source]
            position = code.whole(site.position)
            found = self._spots[frame.site] = (source.label, source.file, position, code.text(position))
        return Place(*found, step)

    def code_of(self, place: Place) -> Code:
        """The parsed source a place is in."""
        for number, source in enumerate(self.trace.sources):
            if source.file == place.file:
                return self.codes[number]
        raise KeyError(place.file)

    def apply_frame(self, call: Call) -> StackFrame | None:
        """The user's frame that called `Function.apply`, where a call ran inside a custom function's forward."""
        return next((f for f in call.stack.frames if f.entry in _APPLY), None)

    def place_of_node(self, node: NodeId) -> Place | None:
        """Where the user's code made a node."""
        found = self.trace.node_by_id[node]
        if found.step is not None:
            return self.place(self.calls[found.step])
        return self._place_of_custom(node)

    def _place_of_custom(self, node: NodeId) -> Place | None:
        """A custom function's node is made by `apply`, before the calls of its forward and the use of its output."""
        following = next((step for step, start in enumerate(self.columns.nodes_start) if start > node), None)
        frame = self.apply_frame(self.calls[following]) if following is not None else None
        if frame is not None:
            return self.at(frame, None)
        using = next((c for c in self.calls if any(self._state(a).node == node for a in c.inputs)), None)
        if using is None:
            return None
        tensor = next(self._state(a) for a in using.inputs if self._state(a).node == node)
        return self._assignment_of(self.names_of(tensor.tensor), using)

    def _assignment_of(self, names: list[str], using: Call) -> Place | None:
        """The last `name = X.apply(...)` above the line that uses the name; that line itself where there is none."""
        place = self.place(using)
        if place is None:
            return None
        mentioned = [*names, *self.names_at(place)]
        found = self.code_of(place).apply_above(place.position, frozenset(mentioned))
        if found is None:
            return place
        return Place(place.label, place.file, found, self.code_of(place).text(found), None)

    def _state(self, argument: Argument) -> TensorState:
        return self.trace.states[argument.before]

    # ------------------------------------------------------------ names

    @cached_property
    def runtime_names(self) -> dict[TensorId, list[str]]:
        """The names that reached each tensor when they were looked at, the shortest first."""
        found: dict[TensorId, dict[str, None]] = defaultdict(dict)
        for name in sorted(self.trace.names, key=lambda one: (len(one.path), one.path)):
            found[name.tensor][name.path] = None
        return {tensor: list(names) for tensor, names in found.items()}

    @cached_property
    def source_names(self) -> dict[TensorId, list[str]]:
        """The names that the source gives to each tensor: what its maker's result was assigned to."""
        found: dict[TensorId, dict[str, None]] = defaultdict(dict)
        columns = self.columns
        targets = [self._targets_of(stack) for stack in columns.stacks]
        for stack, first, count in zip(columns.stack, columns.first_output, columns.output_count, strict=True):
            if count == 1:
                for target in targets[stack]:
                    found[self.tensors_by_state[columns.outputs[first]]][target] = None
        return {tensor: list(names) for tensor, names in found.items()}

    def _targets_of(self, stack: Stack) -> list[str]:
        """What the result of a call with a stack is assigned to."""
        place = self.place_of(stack, None)
        return [] if place is None else list(self.code_of(place).assigned_from(place.position))

    def names_of(self, tensor: TensorId) -> list[str]:
        """Every name known of a tensor: those it was seen under, then those its source gives it."""
        return list(dict.fromkeys([*self.runtime_names.get(tensor, []), *self.source_names.get(tensor, [])]))

    def names_over(self, storage: StorageId | None) -> list[str]:
        """Every name known of the tensors over a storage."""
        if storage is None:
            return []
        return list(dict.fromkeys(name for t in self.tensors_of.get(storage, []) for name in self.names_of(t)))

    def names_at(self, *places: Place | None) -> list[str]:
        """The user's variables that some places mention: what they assign, what they write to, what they use."""
        found: list[str] = []
        for place in places:
            if place is None:
                continue
            code = self.code_of(place)
            receiver = code.receiver(place.position)
            found += [receiver] if receiver and root_of(receiver) not in {"torch", "F", "nn"} else []
            found += code.targets(place.position)
            found += code.roots(place.position)
        return list(dict.fromkeys(found))

    # ------------------------------------------------------------ small questions

    def statement_of(self, call: Call) -> tuple[str, Position] | None:
        """A key for the statement of the user's that made a call."""
        place = self.place(call)
        if place is None:
            return None
        statement = self.code_of(place).statement(place.position)
        if statement is None:
            return place.file, place.position
        end = statement.end_lineno or statement.lineno
        return place.file, Position(statement.lineno, statement.col_offset, end, statement.end_col_offset or 0)

    def in_grad_mode(self, call: Call) -> bool:
        """Whether autograd was recording during a call."""
        return call.grad_mode is GradMode.GRAD

    def is_kind(self, call: Call, kind: Kind) -> bool:
        """Whether a call is of one kind."""
        return call.function.kind is kind

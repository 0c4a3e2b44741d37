"""A change that may mend a finding, and what is asked of a trace to know whether it does."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from inplace.checks.finding import Cure, Finding
from inplace.facts.model import Call, GradMode, Kind, Position, Stack, TensorId
from inplace.facts.source_code import node_position
from inplace.fixes.editing import Edit
from inplace.fixes.ownership import Ownership
from inplace.fixes.statement import Statement, written_expression
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

_TENSORS = 2000  # over the bytes of one that are looked at; where there are more, nothing is said
_CUTS = frozenset({"detach", "detach_", "data"})
_MOST = 60  # writes of one statement that are looked at


@dataclass(frozen=True, slots=True)
class Candidate:
    """Edits of a source.

    Attributes:
        fits: whether the preconditions of their rule hold on the trace.
        cure: what they do, where a rule does one thing or another; that which was asked for if not told.
    """

    site: Statement
    edits: list[Edit]
    fits: bool
    cure: Cure | None = None


Candidates = Iterator[Candidate]


class Look:
    """One trace, as the rules look at it; what several of them ask is worked out once."""

    def __init__(self, index: Index) -> None:
        self.index = index

    # ------------------------------------------------------------ places

    def site(self, place: Place | None) -> Statement | None:
        """The statement of a place, None where it can't be changed alone."""
        return None if place is None else Statement.of(self.index, place)

    def expression(self, place: Place) -> Statement | None:
        """The expression at a place, wherever it stands: in the head of a loop too; None where there is none."""
        code = self.index.places.code(place)
        statement, node = code.statement(place.position), code.source_code.node(place.position)
        return None if statement is None or node is None else Statement(place.file, code, statement, node)

    def call_of(self, place: Place) -> Call | None:
        """The call that a place stands for."""
        calls = self.index.trace.calls
        return calls[place.step] if place.step is not None and 0 <= place.step < len(calls) else None

    def culprits(self, finding: Finding) -> Iterator[tuple[Place, Statement]]:
        """The first two culprits with a statement of their own."""
        for place in finding.culprits[:2]:
            site = self.site(place)
            if site is not None:
                yield place, site

    def is_inside(self, call: Call, file: str, span: Position) -> bool:
        """Whether a call is made by a piece of code, by whatever functions."""
        return self._is_below(call.stack, file, span)

    def _is_below(self, stack: Stack, file: str, span: Position) -> bool:
        sources = self.index.trace.sources
        sites = [self.index.places.site(frame) for frame in stack.frames]
        return any(sources[site.source].file == file and span.holds(site.position) for site in sites)

    def is_called_at(self, file: str, position: Position) -> bool:
        """Whether a call is made by exactly that piece of code."""
        return (file, position) in self._called

    @cached_property
    def _called(self) -> set[tuple[str, Position]]:
        places = (self.index.places.of_stack(stack, None) for stack in self.index.history.columns.stacks)
        return {(place.file, place.position) for place in places if place is not None}

    def calls_inside(self, file: str, span: Position, before: int | None = None) -> Iterator[Call]:
        """The calls that a piece of code made, by whatever functions; those before a step only if one is given."""
        columns = self.index.history.columns
        inside = {number for number, stack in enumerate(columns.stacks) if self._is_below(stack, file, span)}
        stacks = columns.stack if before is None else columns.stack[:before]
        return self.index.history.calls_at(step for step, number in enumerate(stacks) if number in inside)

    # ------------------------------------------------------------ writes

    @cached_property
    def _by_statement(self) -> dict[object, list[Write]]:
        found: dict[object, list[Write]] = defaultdict(list)
        for write in self.index.history.writes:
            found[self.index.places.statement_of(write.call)].append(write)
        return found

    def writes_at(self, site: Statement, finding: Finding) -> list[Write]:
        """What a statement wrote, or would have written, of the bytes that a finding's culprits wrote.

        Of each tensor the first write by each way there; of many tensors the first ones.
        """
        steps = {place.step for place in finding.culprits if place.step is not None}
        made = self._by_statement.get((site.file, node_position(site.statement)), [])
        own = {write.before.storage for write in made if write.call.step in steps}
        found: dict[object, Write] = {}
        for write in made:
            if len(found) < _MOST and write.before.storage in own:
                found.setdefault((write.call.stack, write.before.tensor), write)
        return list(found.values())

    def ownership(self, site: Statement, writes: list[Write]) -> Ownership:
        """Who else has what a statement wrote."""
        return Ownership(self.index, site, writes)

    def named_by(self, name: str, writes: list[Write]) -> list[TensorId]:
        """For each write the tensor that a name stands for: what was written, or what that is a view of.

        Fewer than writes where it isn't known.
        """
        found: list[TensorId] = []
        for write in writes:
            node = self.index.places.node_of(write.call)
            written = None if node is None else written_expression(node)
            if written is not None and ast.unparse(written) == name:
                found.append(write.before.tensor)
            elif write.before.base is not None and written is not None and not _is_cut(written):
                found.append(write.before.base)
        return found

    def is_recorded(self, write: Write) -> bool:
        """Whether autograd knows of a write: it is on the graph, or was refused, or goes to what has no gradient path.

        A write to a leaf under `no_grad` is an update: who used the leaf before meant its value then.
        """
        before, after = write.before, write.after
        if before.requires_grad:
            is_on_graph = write.call.grad_mode is GradMode.GRAD and after.node != before.node
            return is_on_graph or before.is_leaf or write.call.raised is not None
        return not self._has_path(write)

    def may_be_written(self, tensor: TensorId, step: int | None, *, leaf: bool = False) -> bool:
        """Whether a write to a tensor is allowed where it was lost, and no graph has saved what it would change.

        Args:
            tensor: the tensor.
            step: where the write was lost.
            leaf: whether it is made under `no_grad`, where a leaf may be written to.
        """
        state, trace = self.index.history.last_state(tensor), self.index.trace
        if state is None or step is None or (state.is_leaf and state.requires_grad and not leaf):
            return False
        strides = state.layout.strides or ()
        if any(stride == 0 and size > 1 for stride, size in zip(strides, state.layout.shape, strict=False)):
            return False
        saved = [
            n
            for n in trace.nodes
            if n.step is not None and n.step < step
            for one in n.saved
            if one.storage == state.storage
        ]
        later = {node for walk in trace.walks if walk.is_backward and walk.step > step for node in walk.reached}
        return not any(node.id in later for node in saved)

    def led_to(self, tensors: set[TensorId]) -> set[TensorId]:
        """What is computed from some tensors by calls that are recorded, if they had a gradient path; they included."""
        trace, reached, left = self.index.trace, {*tensors}, [*tensors]
        while left:
            for step in dict.fromkeys(step for step, _ in self.index.history.sightings.get(left.pop(), ())):
                call = trace.calls[step]
                is_op = call.function.kind is Kind.OP and call.function.label not in _CUTS
                if call.grad_mode is not GradMode.GRAD or not is_op:
                    continue
                given = [*call.outputs, *(one.after for one in trace.writes(call))]
                states = [trace.states[one] for one in given if "float" in trace.states[one].layout.dtype]
                new = {state.tensor for state in states} - reached
                reached |= new
                left += new
        return reached

    def is_differentiated(self, first: Call, finding: Finding) -> bool:
        """Whether the gradients that a backward gave out are a part of what the victim, a later one, begins at.

        That one is to go through them too, for which it is not enough that the graph is kept.
        """
        begun = self.call_of(finding.victim.place) if finding.victim is not None else None
        given = {self.index.trace.states[one].tensor for one in first.outputs}
        roots = {self.index.trace.states[one.before].tensor for one in begun.inputs} if begun is not None else set()
        return bool(given) and not self.led_to(given).isdisjoint(roots)

    def _has_path(self, write: Write) -> bool:
        """Whether another tensor over the bytes that a write changes has a gradient path behind it."""
        history, storage = self.index.history, write.before.storage
        tensors = history.tensors_of.get(storage, ()) if storage is not None else ()
        if len(tensors) > _TENSORS:
            return True
        for tensor in tensors:
            seen = [state for at, state in history.sightings.get(tensor, ()) if at <= write.call.step]
            state = self.index.trace.states[seen[-1]] if seen else None
            is_other = state is not None and tensor != write.before.tensor and state.requires_grad and not state.is_leaf
            if is_other and state is not None and self.index.overlaps.of(state, write.before):
                return True
        return False

    def writes_of(self, finding: Finding) -> list[Write]:
        """All that the culprits of a finding wrote."""
        steps = sorted({place.step for place in finding.culprits if place.step is not None})
        return [write for step in steps for write in self._by_step.get(step, ())]

    @cached_property
    def _by_step(self) -> dict[int, list[Write]]:
        found: dict[int, list[Write]] = defaultdict(list)
        for write in self.index.history.writes:
            found[write.call.step].append(write)
        return found


def _is_cut(node: ast.expr) -> bool:
    """Whether an expression leaves the graph on its way to what is written: `h.data`, `h.detach()`."""
    return any(isinstance(one, ast.Attribute) and one.attr in {"data", "detach"} for one in ast.walk(node))

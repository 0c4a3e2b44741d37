"""What every check asks of a trace, worked out once: who wrote and made what, where, and under which names."""

from __future__ import annotations

import ast
from functools import cached_property

from inplace.facts.model import Call, Failure, NodeId, SharedBytes, Stack, StorageId, TensorId, Trace
from inplace.reading.source.flow import Flow
from inplace.reading.trace.custom_nodes import CustomNodes
from inplace.reading.trace.definitions import Definitions
from inplace.reading.trace.ending import Ending, recognized
from inplace.reading.trace.gradient_events import GradientEvents
from inplace.reading.trace.history import History
from inplace.reading.trace.names import Names
from inplace.reading.trace.overlaps import Overlaps
from inplace.reading.trace.place import Place
from inplace.reading.trace.places import Places
from inplace.reading.trace.spelled import Spelled


class Index:
    """The look-ups over one trace, each computed when first asked for.

    Attributes:
        trace: the trace.
        history: who gave out and wrote what.
        places: where the user's code did it.
        names: what the user calls it.
        spelled: how the arguments of its calls were spelled.
        overlaps: which of its tensors share bytes.
        custom: which calls are around the nodes of custom functions.
        gradients: what happened to gradients, in order.
        definitions: what the source defines.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.history = History(trace)
        self.places = Places(trace)
        self.names = Names(self.history, self.places)
        self.spelled = Spelled(self.history, self.places, self.names)
        self.overlaps = Overlaps()
        self.custom = CustomNodes(self.history, self.places)
        self.gradients = GradientEvents(self.history, self.places)
        self.definitions = Definitions(trace, self.places)
        self._flows: dict[str, Flow] = {}

    @cached_property
    def ending(self) -> Ending | None:
        """The exception that ended the recorded code on a line of the user's, if one did."""
        failure = self.trace.failure
        if failure is None or failure.stack is None or not failure.stack.frames:
            return None
        call = self._raised_by(failure)
        places = self.places.chain_of(failure.stack, None if call is None else call.step)
        last = [(name.path, self.history.last_state(name.tensor)) for name in failure.there]
        there = tuple((path, state) for path, state in last if state is not None)
        code = self.places.code(places[0])
        statement = code.statement(places[0].position)
        own = isinstance(statement, ast.Raise | ast.Assert)
        what, parts = ("", ()) if own else recognized(failure.message)  # what the user raises is not PyTorch's
        if what == "no gradient" and (statement is None or ".grad" not in ast.unparse(statement)):
            what = ""
        return Ending(what, parts, failure, places, there, call, own)

    @cached_property
    def begun(self) -> frozenset[tuple[StorageId | None, Stack | None]]:
        """The storages that collectives came back from before they were written, and the stacks of those calls."""
        trace = self.trace
        calls = [trace.calls[one.step] for one in trace.collectives if one.is_async]
        return frozenset((trace.states[one.before].storage, call.stack) for call in calls for one in call.inputs)

    @cached_property
    def shared(self) -> dict[StorageId, SharedBytes]:
        """Where storages lie in memory that other processes may have, for those of which it is known."""
        return {one.storage: one for one in self.trace.shared}

    def names_of_ending(self, *first: str) -> tuple[str, ...]:
        """The names of a finding about the line that raised: some that say more, its tensors, its variables."""
        ending = self.ending
        if ending is None:
            return first
        there = [name for name, _ in ending.there]
        return self.names.told(first=[*first, *there], places=ending.places[:1])

    def _raised_by(self, failure: Failure) -> Call | None:
        """The recorded call that raised an exception; a backward's hook may have raised it before the backward did."""
        for step in sorted(self.history.columns.raised, reverse=True):
            call = self.trace.calls[step]
            raised = call.raised
            if raised is not None and raised.type == failure.type and failure.message.startswith(raised.message):
                return call
        return None

    def flow(self, place: Place) -> Flow:
        """What flows where in the source that a place is in."""
        found = self._flows.get(place.file)
        if found is None:
            found = self._flows[place.file] = Flow(self.places.code(place))
        return found

    def place_of_node(self, node: NodeId) -> Place | None:
        """Where the user's code made a node."""
        found = self.trace.node_by_id[node]
        if found.step is not None:
            return self.places.of(self.trace.calls[found.step])
        starts = self.history.columns.nodes_start
        if node >= 0 and len(starts) and node < starts[0]:
            return None  # made before anything was recorded
        return self._place_of_custom(node)

    def _place_of_custom(self, node: NodeId) -> Place | None:
        """A custom function's node is made by `apply`, before the calls of its forward and the use of its output."""
        calls, following = self.trace.calls, self.custom.following(node)
        frame = self.places.apply_frame(calls[following]) if following is not None else None
        if frame is not None:
            return self.places.at(frame, None)
        use = self.custom.first_use(node)
        return None if use is None else self._apply_behind(calls[use[0]], self.trace.states[use[1]].tensor)

    def _apply_behind(self, using: Call, tensor: TensorId) -> Place | None:
        """The last `name = X.apply(...)` above the line that uses its result; that line itself where there is none."""
        place = self.places.of(using)
        if place is None:
            return None
        mentioned = frozenset([*self.names.of(tensor), *self.names.at(place)])
        found = self.places.code(place).apply_above(place.position, mentioned)
        return place if found is None else self.places.beside(place, found)

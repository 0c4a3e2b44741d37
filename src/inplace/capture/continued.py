"""What makes a recording one run of a session: what it meets again of earlier runs, and what it hands on."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet

import torch

from inplace.capture.calls.accumulated import Accumulated
from inplace.capture.carried import Carried, Living
from inplace.capture.freeze import Raw
from inplace.capture.gradients import Gradients
from inplace.capture.graph.handles import saved_tensors
from inplace.capture.graph.walk import LIMIT, NodesBelow, Walker
from inplace.capture.tables.tensor_facts import node_of
from inplace.capture.tables.tensors import PLAIN
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.capture.windows import Windows
from inplace.facts.joined import Again, alone, first_run, joined
from inplace.facts.kept import kept
from inplace.facts.model import CellRun, NodeId, StorageId, TensorId, Trace
from inplace.facts.recent import recent


class Continued:
    """What one run of a session has beside a recording that stands alone.

    Args:
        earlier: what the run before it has handed on.
        seen: where tensors get their ids.
        raw: what the recorder collects.
        walker: walks graphs.
        gradients: what is noted of gradients.
        accumulated: to which gradients backwards have added.
        watch: is told of a tensor whose bytes others may write.
        is_window: whether the run before goes on in this one: all that lives is the user's still.
        windows: how what is over is let go of, if it is.

    Attributes:
        known: the nodes that earlier runs know, without those of leaves, which have other numbers in each run.
    """

    def __init__(
        self,
        earlier: Carried,
        seen: TensorsSeen,
        raw: Raw,
        walker: Walker,
        gradients: Gradients,
        accumulated: Accumulated,
        watch: Callable[[torch.Tensor], None],
        *,
        is_window: bool = False,
        windows: Windows | None = None,
    ) -> None:
        self._earlier, self._seen, self._raw, self._walker, self._watch = earlier, seen, raw, walker, watch
        self._gradients, self._accumulated = gradients, accumulated
        self._is_window, self._windows = is_window, windows
        nodes: AbstractSet[NodeId] = set() if earlier.trace is None else earlier.trace.node_by_id.keys()
        self.known = frozenset(node for node in nodes if node >= 0)
        self._again: dict[TensorId, TensorId] = {}  # what earlier runs had seen, by its id now
        self._moved: set[TensorId] = set()
        self._begun = False  # whether there is a walk at the beginning
        self._walks: set[int] = set()  # places of walks that only the session needs
        self._run: Trace | None = None  # for `joined`
        self._living: list[Living] = []

    def meet(self) -> None:
        """Meet what earlier runs had seen and lives on: tensors, and the storages that live graphs have saved."""
        seen, roots = self._seen, []
        named = {number for _, number, _ in self._raw.names}
        for tensor, known in self._earlier.taken():
            external = len(seen.storages.external)
            number = seen.id_of(tensor)
            is_theirs = self._is_window or number in named
            if not is_theirs:  # it lives until some collection, and is not to be watched by chance
                del seen.storages.external[external:]
            self._again[number] = known.tensor
            ref = seen.ref_of(tensor)
            if ref is not None and ref.pointer != known.pointer:
                self._moved.add(number)
            elif known.watched and is_theirs:
                self._watch(tensor)
            if known.is_gradient:
                self._accumulated.know(tensor)
            if tensor.requires_grad and seen.may_ask(tensor) and (node := node_of(tensor)) is not None:
                roots.append(node)
        self._gradients.go_on(_renumbered(self._earlier.counters, {one: now for now, one in self._again.items()}))
        if self.known:
            self._begun = True
            for node, _ in NodesBelow(roots, LIMIT):
                for _, saved in saved_tensors(node):
                    if type(saved) in PLAIN:
                        seen.storages.meet(saved, seen.step)
            self._walk(roots, 0)

    def walk_rest(self, called: AbstractSet[TensorId], step: int) -> None:
        """Note, in the end, the graphs below what was met again and went into none of the run's calls."""
        seen = self._seen
        others = [t for t in seen.live(self._again.keys() - called) if t.requires_grad and seen.may_ask(t)]
        self._walk([node for t in others if (node := node_of(t)) is not None], step)

    def _walk(self, roots: list[object], step: int) -> None:
        """Note the nodes below some others, which are of no interest to who looks at the run alone."""
        self._walks.add(len(self._raw.walks))
        self._raw.walks.append((step, False, self._walker.walk(roots)))

    def end(self, run: Trace, exported: AbstractSet[StorageId]) -> Trace:
        """The trace of the run alone; and note the tensors that the next run may meet again.

        Args:
            run: what was recorded.
            exported: the storages that others could write in the end.
        """
        self._run = run
        gradients = self._accumulated.known
        for ref in list(self._seen.refs.values()):
            tensor, watched = ref(), ref.storage in exported
            if tensor is not None:
                is_gradient = ref.tensor in gradients
                self._living.append(Living(weakref.ref(tensor), ref.tensor, ref.pointer, watched, is_gradient))
        return alone(run, self._walks, self.known)

    def session(self, trace: Trace, *, goes_on: bool = False) -> tuple[Trace, Carried]:
        """The run, which is `trace` alone, behind what is kept of those before it; and what the next is handed.

        Args:
            trace: the run alone.
            goes_on: whether it was a window behind which the recorded code went on.
        """
        windows = self._windows
        places: Sequence[TensorId] | None = None
        run = CellRun(
            title=trace.title,
            begin=0,
            failure=trace.failure,
            is_cell=windows is None or windows.are_of_cell,
            continues=self._is_window,
            goes_on=goes_on,
        )
        if self._earlier.trace is None or self._run is None:
            whole = first_run(trace, run)
        else:
            again = Again(self._again, frozenset(self._moved), self._begun)
            whole, places = joined(self._earlier.trace, self._run, again, run)
        remembered, numbers = kept(whole, None if windows is None else recent(whole))
        living, self._living = self._living, []
        now = numbers if places is None else {TensorId(own): numbers.get(one) for own, one in enumerate(places)}
        found = [one._replace(tensor=number) for one in living if (number := now.get(one.tensor)) is not None]
        return whole, Carried(remembered, found, _renumbered(self._gradients.counters, now))


def _renumbered(
    counters: Mapping[tuple[TensorId, ...], list[int]], numbers: Mapping[TensorId, TensorId | None]
) -> dict[tuple[TensorId, ...], list[int]]:
    """The versions of gradients by the ids that their leaves have in another trace, where all of them are there."""
    found = {tuple([numbers.get(one) for one in leaves]): versions for leaves, versions in counters.items()}
    return {leaves: versions for leaves, versions in found.items() if None not in leaves}  # type: ignore[misc]

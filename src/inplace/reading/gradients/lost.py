"""The leaves whose gradient is missed, and the cuts of a loss that lost it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from inplace.facts.model import Call, Kind, Stack, TensorId
from inplace.reading.gradients.exits import exits_into
from inplace.reading.gradients.missed import missed_leaves
from inplace.reading.gradients.reached import reached_leaves
from inplace.reading.gradients.replaced import replaced_leaves
from inplace.reading.gradients.stopped import is_by_turns, stopped_leaves
from inplace.reading.trace.index import Index
from inplace.reading.trace.lineage import CutCall, Lineage, how_cut, lineage

_MOST = 6


@dataclass(frozen=True, slots=True)
class LostGradients:
    """Leaves that one cut has cost their gradients.

    Attributes:
        cuts: the cut, and that of the last turn where it is another one.
        leaves: those behind it.
        known: the cuts each of which alone would have cost one of them its gradient.
        until: at how many steps of its optimizer a leaf still had one, and at how many since it has none; None where it
            never had one.
    """

    cuts: list[CutCall]
    leaves: set[TensorId]
    known: list[CutCall]
    until: tuple[int, int] | None = None


class Lost:
    """The leaves whose gradient is missed, and the cuts that lost it: those of the loss that was to give it."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._lineages: dict[Stack, Lineage] = {}
        self._later: dict[int, Lineage] = {}
        self._exits: dict[int, list[CutCall]] = {}
        self._leaves: dict[tuple[TensorId, int], set[TensorId]] = {}

    def behind(self, backward: Call) -> Lineage:
        """What is behind the loss of a backward; of one line's backwards the first is looked at."""
        found = self._lineages.get(backward.stack)
        if found is None:
            root = self._index.trace.states[backward.inputs[0].before]
            found = self._lineages[backward.stack] = lineage(self._index, root.tensor, backward.step)
        return found

    def by_cuts(self) -> Iterator[LostGradients]:
        """For each cut that is to blame, what it has cost."""
        index = self._index
        grouped: dict[object, tuple[list[CutCall], list[CutCall], set[TensorId]]] = {}
        for leaf, backwards in self._missed():
            found = ((one, cuts) for one in backwards if (cuts := self._cuts_before(one, leaf)))
            backward, cuts = next(found, (None, []))
            place = index.places.of(cuts[0].call) if cuts else None
            if backward is not None and place is not None:
                later = self._cuts_later(backward, leaf)
                told, known, leaves = grouped.setdefault(place.spot, (cuts[:1], [], set()))
                if all(at.spot != place.spot for cut in later if (at := index.places.of(cut.call)) is not None):
                    told += later[:1]  # the first is to blame for the first turn only
                known += [*cuts, *later]
                leaves.add(leaf)
        for told, known, leaves in list(grouped.values())[:_MOST]:
            yield LostGradients(told, leaves, known)
        yield from self._stopped(set(grouped))

    def _stopped(self, told: set[object]) -> Iterator[LostGradients]:
        """The same of gradients which were there at first, but for cuts that were `told`."""
        index = self._index
        behind: dict[int, Lineage] = {}
        grouped: dict[object, tuple[CutCall, set[TensorId], tuple[int, int]]] = {}
        for one in stopped_leaves(index):
            for call in one.backwards:
                if call.step not in behind:
                    root = index.trace.states[call.inputs[0].before]
                    behind[call.step] = lineage(index, root.tensor, call.step)
            if any(one.leaf in behind[call.step].live for call in one.backwards):
                continue
            cuts = [cut for call in one.backwards for cut in self._cuts_of(call, behind[call.step], one.leaf)]
            place = index.places.of(cuts[0].call) if cuts else None
            if place is not None and place.spot not in told and not is_by_turns(index, cuts[0].call):
                grouped.setdefault(place.spot, (cuts[0], set(), one.steps))[1].add(one.leaf)
        for cut, leaves, steps in list(grouped.values())[:_MOST]:
            yield LostGradients([cut], leaves, [], steps)

    def _missed(self) -> Iterator[tuple[TensorId, list[Call]]]:
        """Each leaf that misses its gradient, with the backwards that may have been meant for it."""
        index = self._index
        left = {orphan for one in replaced_leaves(index) for orphan in one.orphans}  # another kind tells of those
        told = reached_leaves(index) | left
        for leaf, backwards in missed_leaves(index):
            if leaf not in left:
                told.add(leaf)
                yield leaf, backwards
        firsts: dict[Stack, Call] = {}
        for call in index.history.calls_of(lambda function: function.kind is Kind.BACKWARD):
            firsts.setdefault(call.stack, call)
        for backward in firsts.values():
            root = index.trace.states[backward.inputs[0].before] if backward.inputs else None
            if root is not None and root.is_leaf and root.requires_grad:  # it was made to require grad again
                for leaf in sorted(self.behind(backward).leaves.keys() - told - {root.tensor}):
                    told.add(leaf)
                    yield leaf, [backward]

    def _cuts_before(self, backward: Call, leaf: TensorId) -> list[CutCall]:
        """The cuts without which a leaf would have its gradient, the most telling first."""
        behind = self.behind(backward)
        alone = self._cuts_of(backward, behind, leaf)
        return alone or _ranked([cut for cut in behind.cuts if leaf in self._live(cut)])[:1]

    def _cuts_later(self, backward: Call, leaf: TensorId) -> list[CutCall]:
        """The cuts that cost a leaf its gradient where the same line went backward last: maybe others."""
        steps = self._index.history.columns.steps_of(lambda function: function.kind is Kind.BACKWARD)
        numbers = self._index.history.columns.stack
        last = next(step for step in reversed(steps) if numbers[step] == numbers[backward.step])
        if last == backward.step:
            return []
        call = self._index.trace.calls[last]
        if last not in self._later:
            self._later[last] = lineage(self._index, self._index.trace.states[call.inputs[0].before].tensor, last)
        behind = self._later[last]
        return [] if leaf in behind.live else self._cuts_of(call, behind, leaf)

    def _cuts_of(self, backward: Call, behind: Lineage, leaf: TensorId) -> list[CutCall]:
        """The cuts each of which alone costs a leaf its gradient, the most telling first."""
        clean = [cut for cut in behind.cuts if not cut.beyond and leaf in self._live(cut)]
        if clean:
            return _ranked(clean)
        if backward.step not in self._exits:
            self._exits[backward.step] = exits_into(self._index, backward, behind)
        return _ranked([cut for cut in self._exits[backward.step] if leaf in self._live(cut)])

    def _live(self, cut: CutCall) -> set[TensorId]:
        """The leaves that the tensor which a cut was given has a path to."""
        key = cut.given.tensor, cut.call.step
        found = self._leaves.get(key)
        if found is None:
            found = self._leaves[key] = _leaves_of(self._index, cut)
        return found


def _ranked(cuts: list[CutCall]) -> list[CutCall]:
    """Cuts, those first that somebody wrote rather than those of a dtype."""
    return sorted(cuts, key=lambda cut: (how_cut(cut) == "dtype", cut.call.step))


def _leaves_of(index: Index, cut: CutCall) -> set[TensorId]:
    """The leaves that have a path to what a cut was given, to any of its arguments."""
    given = [cut.given]
    if cut.how is None:
        given += [state for one in cut.call.inputs if (state := index.trace.states[one.before]).requires_grad]
    step = cut.call.step + (how_cut(cut) == "wrapped")  # then it is the result of the call itself
    found: set[TensorId] = set()
    for state in {one.tensor: one for one in given}.values():
        found |= {state.tensor} if state.is_leaf else set(lineage(index, state.tensor, step).live)
    return found


def leaves_behind(index: Index, cuts: Iterable[CutCall]) -> set[TensorId]:
    """The leaves behind some cuts."""
    return {leaf for cut in cuts for leaf in _leaves_of(index, cut)}

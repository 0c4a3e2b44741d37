"""gradients-never-cleared: each step of an optimizer uses the sum of the gradients of all backwards so far.

NOTE [ Never cleared ]
Sums of gradients are meant where several backwards come before one step, and are cleared behind it. So it is told only
of an optimizer of PyTorch's own that made several steps, each over the very gradients of the step before, to which a
backward had added since; where nothing recorded has cleared, replaced or written them; and of a recording that is over,
of which nothing was let go. Who clips them has not cleared them. A clear that found no gradient has cleared none.
A closure goes backward behind the begin of its step: what it adds is there at the next. One that a step calls several
times has to clear each time: what its calls in one step have added up is told wherever it is cleared between steps.
The same is told of leaves that lines of the user's update with their gradients; NOTE [ Updates by hand ].
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import dropwhile

from inplace.checks.finding import Cure, Finding, Victim
from inplace.facts.gradients import ACCUMULATED
from inplace.facts.model import Act, GradientAct, Look, Stack, StorageId, TensorId
from inplace.reading.gradients.closures import summed_in_closures
from inplace.reading.gradients.reached import storages_of
from inplace.reading.gradients.updates import Updates, updates_by_hand
from inplace.reading.trace.gradient_events import Event, GradientEvents, reads_grad
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

_FEWEST = 3  # steps: one or two are a demonstration of what a step does
_MOST = 4
_OF_CLIP = 2  # writes that one clip makes to a gradient, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class UnclearedGradients(Finding):
    """Gradients that every step of an optimizer uses, and nothing clears; the culprits are the backwards.

    `steps_made` is how many steps the optimizer made. `single` is whether one backward came before each of them. They
    are made `by_hand` where lines of the user's own update the parameters. With `in_closure` they are how often one
    step has called its closure, each time adding to what the time before has left.
    """

    kind = "gradients-never-cleared"
    keeps_loss = True
    leaves: tuple[TensorId, ...]
    memory: tuple[StorageId, ...]
    steps_made: int
    single: bool
    by_hand: bool = False
    in_closure: bool = False

    def tensors(self) -> tuple[TensorId, ...]:
        """The parameters."""
        return self.leaves

    def storages(self) -> tuple[StorageId, ...]:
        """Theirs, one for each as a rule."""
        return self.memory

    def cures(self) -> tuple[Cure, ...]:
        """They are cleared before the backward."""
        return (Cure.CLEARED_FIRST,) if self.single else ()


def uncleared_gradients(index: Index) -> Iterator[Finding]:
    """Yield, for each optimizer, the parameters whose gradients are added to from step to step and never cleared."""
    trace, events = index.trace, index.gradients
    added: dict[tuple[int, ...], list[GradientAct]] = defaultdict(list)
    for act in trace.acts:
        if act.act is Act.ADDED:
            added[act.numbers].append(act)
    if trace.goes_on or any(one.what is Look.HISTORY for one in trace.not_looked_at):
        return
    if (
        not added
        and not events.in_closures
        and not any(one.name == ACCUMULATED for one in index.history.columns.functions)
    ):
        return
    let_go = _cleared(index) | _written(index)
    told: set[object] = set()
    for one in _in_closures(index):
        told.add(one.lines)
        yield one
    for numbers, acts in added.items():
        followed, turns = _followed(acts, _turns(events, numbers), events.since)
        leaves = [leaf for leaf in map(TensorId, numbers) if leaf not in let_go and _grows(leaf, followed, turns)]
        finding = _finding(index, leaves, turns) if leaves else None
        if finding is not None and finding.lines not in told:
            told.add(finding.lines)
            yield finding
    yield from _by_hand(index, [one for one in updates_by_hand(index, let_go) if len(one.updates) >= _FEWEST])


def _in_closures(index: Index) -> Iterator[UnclearedGradients]:
    """One finding for each line that has an optimizer call a closure several times in a step, which clears nothing."""
    for one in summed_in_closures(index):
        places = _places(index, ((backward.stack, backward.step) for backward in one.backwards))
        user = index.places.of_stack(one.step.stack, index.gradients.call_of(one.step))
        at, steps = index.gradients.last_step, len(one.backwards)
        finding = _told(index, list(one.leaves), places, user, steps, at=at)
        if finding is not None:
            yield replace(finding, in_closure=True)


def _by_hand(index: Index, found: list[Updates]) -> Iterator[UnclearedGradients]:
    """One finding for all leaves that the same lines go backward to."""
    lines: dict[frozenset[Stack], list[Updates]] = defaultdict(list)
    for one in found:
        lines[frozenset(call.stack for call in one.backwards)].append(one)
    for updates in lines.values():
        first, leaves = updates[0], [one.leaf for one in updates]
        culprits = _places(index, ((call.stack, call.step) for call in reversed(first.backwards)))
        user = index.places.of(first.updates[-1])
        steps, at = max(len(one.updates) for one in updates), max(one.updates[-1].step for one in updates)
        finding = _told(index, leaves, culprits, user, steps, at=at, by_hand=True)
        if finding is not None:
            yield finding


def _told(
    index: Index,
    leaves: list[TensorId],
    culprits: tuple[Place, ...],
    user: Place | None,
    steps: int,
    *,
    at: int | None,
    single: bool = False,
    by_hand: bool = False,
) -> UnclearedGradients | None:
    """The finding about some leaves, where the lines that go backward and the one that uses their sums are known."""
    if not culprits or user is None:
        return None
    return UnclearedGradients(
        severity="warning",
        culprits=culprits,
        victim=Victim.at(user),
        names=index.names.told(tensors=leaves, places=[*culprits, user]),
        leaves=tuple(leaves),
        memory=storages_of(index, leaves),
        steps_made=steps,
        single=single,
        by_hand=by_hand,
        at=at,
    )


def _places(index: Index, calls: Iterable[tuple[Stack, int | None]]) -> tuple[Place, ...]:
    """Where some calls were made, each line once; the last comes first."""
    places: dict[object, Place] = {}
    for stack, step in dict(calls).items():
        for place in index.places.chain_of(stack, step):
            places.setdefault(place.spot, place)
    return tuple(places.values())[:_MOST]


@dataclass(frozen=True, slots=True)
class _Turn:
    """A step of an optimizer, and what came between it and the one before."""

    step: Event
    before: list[Event]

    def backwards(self, leaf: TensorId) -> list[Event]:
        """The backwards that may have reached a leaf."""
        return [one for one in self.before if one.what == "backward" and (one.leaves is None or leaf in one.leaves)]


def _turns(events: GradientEvents, numbers: tuple[int, ...]) -> list[_Turn]:
    """The steps that one optimizer made, as far as they are known of earlier runs."""
    between = events.of("backward", "clip", "unscale", "scaler step")
    between = sorted([*between, *events.in_closures], key=lambda one: one.moment)
    moments, begin, found = [one.moment for one in between], 0, list[_Turn]()
    for step in events.of("step"):
        if step.numbers == numbers:
            end = bisect_left(moments, step.moment)
            found.append(_Turn(step, between[begin:end]))
            begin = end
    return found


def _followed(
    acts: list[GradientAct], turns: list[_Turn], since: int
) -> tuple[list[tuple[GradientAct, _Turn]], list[_Turn]]:
    """The longest row of steps that follow each other, each of which found the gradients of the one before.

    It goes on in the run that begins at `since`, and comes with the steps of that run and those of it before. Of
    earlier runs some steps are kept whose backward is not: it begins behind them.
    """
    places = {turn.step.moment[0] + 1: place for place, turn in enumerate(turns)}
    rows: list[list[tuple[GradientAct, int]]] = [[]]
    last = -1
    for act in acts:
        place = places.get(act.step, -1)
        if place != last + 1:
            rows.append([])
        if place > 0:
            rows[-1].append((act, place))
        last = place
    own = [row for row in rows if row and row[-1][0].step >= since]
    own = [[*dropwhile(lambda one: one[0].step < since and not _has_backward(turns[one[1]]), row)] for row in own]
    longest = max(own, key=len, default=[])
    begin = next((place for place, turn in enumerate(turns) if turn.step.moment[0] + 1 >= since), len(turns))
    first = min([begin, *(place - 1 for _, place in longest[:1])])
    return [(act, turns[place]) for act, place in longest], turns[first:]


def _has_backward(turn: _Turn) -> bool:
    return any(one.what == "backward" for one in turn.before)


def _grows(leaf: TensorId, followed: list[tuple[GradientAct, _Turn]], turns: list[_Turn]) -> bool:
    """Whether one gradient was there at every step, and between those followed backward has written it, and a clip."""
    if len(followed) < _FEWEST - 1:
        return False
    place = turns[0].step.numbers.index(leaf)
    begun = turns if turns[0].before else turns[1:]  # a closure goes backward for the first time behind the first
    if any(found[place : place + 1] in {"-", ""} for found in {turn.step.found for turn in begun}):
        return False
    for act, turn in followed:
        letter, backwards = act.found[place], len(turn.backwards(leaf))
        others = [one.what for one in turn.before if one.what != "backward"]
        clips = others.count("clip")
        if clips < len(others):
            return False  # what a scaler divides is small behind it
        if letter == "-" or not backwards or int(letter) > backwards + _OF_CLIP * clips:
            return False
    return True


def _cleared(index: Index) -> set[TensorId]:
    """The leaves whose gradient something has cleared or replaced, in whatever cell."""
    found: set[TensorId] = set()
    for act in index.trace.acts:
        if act.act is Act.CLEARED:
            found.update(TensorId(one) for one, letter in zip(act.numbers, act.found, strict=True) if letter != "-")
    for event in index.gradients.of("clear", "set"):
        if event.step is not None:
            found.update(event.leaves or ())
    return found


def _written(index: Index) -> set[TensorId]:
    """The leaves whose gradient was written, by whatever name, by anything but backward and a clip."""
    states, history = index.trace.states, index.history
    owners: dict[StorageId, set[TensorId]] = defaultdict(set)
    for call in history.calls_of(reads_grad):
        for output in call.outputs if call.inputs else ():
            storage = states[output].storage
            if storage is not None:
                owners[storage].add(states[call.inputs[0].before].tensor)
    found: set[TensorId] = set()
    for storage, leaves in owners.items():
        writes = history.writes_to.get(storage, [])
        if history.changes_of.get(storage) or any(_is_of_others(index, one) for one in writes):
            found |= leaves
    return found


def _is_of_others(index: Index, write: Write) -> bool:
    is_clip = index.gradients.library(write.call.stack) == "clip"
    return write.call.function.name != ACCUMULATED and not is_clip


def _finding(index: Index, leaves: list[TensorId], turns: list[_Turn]) -> UnclearedGradients | None:
    behind = [one for turn in turns for one in turn.backwards(leaves[0])]
    places = _places(index, ((one.stack, one.step) for one in reversed(behind)))
    last = turns[-1].step
    user = index.places.of_stack(last.stack, index.gradients.call_of(last))
    single = all(len(turn.backwards(leaves[0])) == 1 for turn in turns)
    return _told(index, leaves, places, user, len(turns), at=index.gradients.last_step, single=single)

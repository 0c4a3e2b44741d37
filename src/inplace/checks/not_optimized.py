"""not-optimized: a parameter gets gradients and no optimizer has it, where one was meant to.

NOTE [ Meant to be trained ]
Most parameters that no optimizer has are left out on purpose: a frozen backbone, an attacked image, a teacher. So it is
told only of those that escaped it: parameters in a plain list, dict or attribute, which nobody registers; parameters
that were made after the optimizer was built, whose line goes backward to the optimizer's own too, or that a line
unfroze before one of its steps; and an optimizer over parameters that nothing is ever computed from, or not from some
point on. What the user updates or reads the gradient of by hand is left alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from inplace.checks.finding import Cure, Finding
from inplace.facts.model import BEFORE, Act, Call, GradientAct, Stack, StorageId, TensorId
from inplace.reading.gradients.reached import reached_leaves, storages_of
from inplace.reading.gradients.replaced import replaced_leaves
from inplace.reading.gradients.unfrozen import unfrozen_leaves
from inplace.reading.trace.gradient_events import Event, GradientEvents
from inplace.reading.trace.index import Index
from inplace.reading.trace.lineage import is_made_of_result, is_moved_by_hand, wrapped_call
from inplace.reading.trace.place import Place

_MOST = 4

How = Literal["hidden", "late", "unfrozen", "unused", "idle", "double"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotOptimized(Finding):
    """Parameters that get gradients which no optimizer applies.

    `how`: they are in a plain container or attribute (`hidden`), they were made after the optimizer was built (`late`),
    they were frozen then, and made to require grad in the midst of its training (`unfrozen`); an optimizer has
    parameters that no loss was ever computed from (`unused`), or makes steps over some that the losses before them were
    not computed from (`idle`), of which another optimizer may have the same (`double`).
    """

    kind = "not-optimized"
    keeps_loss = True
    how: How
    leaves: tuple[TensorId, ...]
    memory: tuple[StorageId, ...]
    optimizer: Place | None

    def tensors(self) -> tuple[TensorId, ...]:
        """The parameters."""
        return self.leaves

    def storages(self) -> tuple[StorageId, ...]:
        """Theirs, one for each as a rule."""
        return self.memory

    def cures(self) -> tuple[Cure, ...]:
        """The container is registered."""
        return (Cure.REGISTERED,) if self.how == "hidden" else ()


def unoptimized_parameters(index: Index) -> Iterator[Finding]:
    """Yield the parameters that escaped the optimizers, by how they did."""
    acts = index.trace.acts
    if not any(act.act is Act.STEPPED for act in acts):
        return
    events = index.gradients
    handled = {leaf for event in events.of("read") for leaf in event.leaves or ()}
    kept = {TensorId(number) for act in acts if act.act is Act.HIDDEN for number in act.numbers}
    escaped = {
        leaf
        for leaf in reached_leaves(index, events.since) - events.known - handled
        if (index.trace.tensors[leaf].type == "Parameter" or (leaf in kept and _is_old(index, leaf)))
        and not is_moved_by_hand(index, leaf)
        and not is_made_of_result(index, leaf)
    }
    hidden = escaped & kept
    if hidden:
        yield _finding(index, "hidden", hidden, _last_built(acts))
    replaced = {one.now for one in replaced_leaves(index)}
    for act, late in _late(index, events, escaped - hidden - replaced):
        yield _finding(index, "late", late, act)
    for one in unfrozen_leaves(index):
        yield _finding(index, "unfrozen", one.leaves, one.built, index.places.chain(one.switch))
    if escaped:
        unused = [*_unused(index, events, escaped - replaced)]  # of the others rebound-leaf tells
        idle = [*_idle(index, events, escaped - replaced)] if not unused else []
        yield from unused or idle or _double(index, events)


def _last_built(acts: tuple[GradientAct, ...]) -> GradientAct | None:
    return next((act for act in reversed(acts) if act.act is Act.BUILT), None)


def _late(index: Index, events: GradientEvents, escaped: set[TensorId]) -> Iterator[tuple[GradientAct, set[TensorId]]]:
    """The parameters that were met first after an optimizer was built which has others that the same line reaches."""
    found: dict[int, tuple[GradientAct, set[TensorId]]] = {}
    for act in index.trace.acts if escaped else ():
        if act.act is not Act.BUILT:
            continue
        own = frozenset(map(TensorId, act.numbers))
        last_step = max((one.moment for one in events.of("step") if one.concerns(own)), default=None)
        together = {leaf for leaves in events.reach.values() if own & leaves for leaf in leaves}
        end = last_step[0] if last_step is not None else act.step
        late = {leaf for leaf in escaped & together if act.step <= _made(index, leaf) < end}
        if late:
            found[min(late)] = act, late
    yield from list(found.values())[-1:]


def _unused(index: Index, events: GradientEvents, escaped: set[TensorId]) -> Iterator[Finding]:
    """The optimizers none of whose parameters was used, while others got gradients that nobody applies."""
    built = [act for act in index.trace.acts if act.act is Act.BUILT] if escaped else []
    for act in built:
        own = frozenset(map(TensorId, act.numbers))
        steps = [one for one in events.of("step") if one.leaves is not None and own <= one.leaves]
        if (
            steps
            and all(set(one.found) <= {"-"} for one in steps)
            and not any(events.uses(leaf, act.step) for leaf in own)
        ):
            yield _finding(index, "unused", escaped, act)
            return


def _idle(index: Index, events: GradientEvents, escaped: set[TensorId]) -> Iterator[Finding]:
    """The last steps of a run that found no gradient, behind backwards that gave some to what no optimizer has."""
    steps_over: dict[frozenset[TensorId], list[Event]] = defaultdict(list)
    for one in events.of("step"):
        if one.leaves is not None:
            steps_over[one.leaves].append(one)
    backwards = events.of("backward")
    for own, steps in steps_over.items():
        found = [one for one in steps if not set(one.found) <= {"-"}]
        begun = max([(events.since - 1, 0), *(one.moment for one in found)])
        idle = [one for one in steps if one.moment > begun]
        if not idle or any(events.uses(leaf, begun[0] + 1) for leaf in own):
            continue  # where they were in use, it is the path to them that is lost
        behind = [one for one in backwards if begun < one.moment < idle[-1].moment]
        reached = frozenset().union(*(one.leaves or () for one in behind))
        # Of a model one of whose gradients is used by hand, the others are too.
        if all(one.leaves is not None for one in behind) and reached and reached <= escaped:
            yield _finding(index, "idle", set(reached), index.trace.acts[idle[-1].moment[1] - 2])
            return


def _double(index: Index, events: GradientEvents) -> Iterator[Finding]:
    """A second optimizer over the same parameters, which finds no gradient in front of any of its steps.

    Each time the last backward has gone to what no optimizer has: it is those that it was to be built over.
    """
    steps_of: dict[frozenset[TensorId], dict[Stack, list[Event]]] = defaultdict(lambda: defaultdict(list))
    for one in events.of("step"):
        if one.leaves is not None:
            steps_of[one.leaves][one.stack].append(one)
    order = events.of("backward", "step")
    in_front = {id(later): one for one, later in pairwise(order)}
    # A gradient that is only looked at when all is over moves nothing.
    reads = [one for one in events.of("read") if one.moment < order[-1].moment] if order else []
    used = {leaf for one in reads for leaf in one.leaves or ()}
    for own, lines in steps_of.items():
        built = [act for act in index.trace.acts if act.act is Act.BUILT and own == set(act.numbers)]
        found = [one for steps in lines.values() for one in steps if not set(one.found) <= {"-"}]
        for stack, steps in lines.items() if len(built) > 1 and found else ():
            before = [in_front[id(one)] for one in steps if id(one) in in_front]
            reached = [one.leaves for one in before if one.what == "backward" and one.leaves]
            idle = len(reached) == len(steps) > 1 and all(set(one.found) <= {"-"} for one in steps)
            left = frozenset().union(*reached) if idle else frozenset()
            if left and not left & (events.known | used) and not any(is_moved_by_hand(index, one) for one in left):
                act = next((one for one in built if _is_built_for(index, one, stack)), None)
                step = index.places.chain_of(stack, None)
                yield _finding(index, "double", left, act or built[-1], step)
                return


def _is_built_for(index: Index, act: GradientAct, step: Stack) -> bool:
    """Whether the optimizer that a line makes gets the name that another line calls `step` of."""
    made, used = (index.places.chain_of(stack, None)[:1] for stack in (act.stack, step))
    names = index.places.code(made[0]).targets(made[0].position) if made else ()
    called = used[0].code.partition(".step(")[0] if used else ""
    return called in names


def _finding(
    index: Index,
    how: How,
    leaves: AbstractSet[TensorId],
    built: GradientAct | None,
    lines: Sequence[Place] | None = None,
) -> NotOptimized:
    """A finding about some leaves and an optimizer; `lines` are those that made them, where others are to be told."""
    made: dict[Place, None] = dict.fromkeys(lines or ())
    for leaf in sorted(leaves) if lines is None else ():
        maker = _maker(index, leaf)
        made.update(dict.fromkeys(index.places.chain(maker) if maker is not None else ()))
    over = index.places.chain_of(built.stack, None) if built is not None else ()
    places = [*over, *made] if how in {"unused", "idle", "double"} else [*made, *over]
    culprits: dict[object, Place] = {}
    for place in places:
        culprits.setdefault(place.spot, place)  # of a line that makes many, the first
    return NotOptimized(
        severity="warning",
        culprits=tuple(culprits.values())[:_MOST],
        victim=None,
        names=index.names.told(tensors=sorted(leaves), places=places),
        how=how,
        leaves=tuple(sorted(leaves)),
        memory=storages_of(index, sorted(leaves)),
        optimizer=over[0] if over else None,
        at=index.gradients.last_step,
    )


def _is_old(index: Index, leaf: TensorId) -> bool:
    """Whether a leaf was there before an optimizer was built: an input that a module keeps comes later."""
    built = _last_built(index.trace.acts)
    return built is not None and index.trace.tensors[leaf].first_seen <= built.step


def _made(index: Index, leaf: TensorId) -> int:
    """The step of the call that made a parameter, or what it was made of; `BEFORE` where that is not known.

    One that is first met in a forward may have been made long before.
    """
    makers, wrapped = index.history.makers.get(leaf, []), wrapped_call(index, leaf)
    return makers[0] if makers else wrapped.step if wrapped is not None else BEFORE


def _maker(index: Index, leaf: TensorId) -> Call | None:
    """The call that made or first filled a parameter, else the first that took it."""
    makers = index.history.makers.get(leaf, [])
    sightings = index.history.sightings.get(leaf, [])
    wrapped = wrapped_call(index, leaf) if not makers else None
    step = makers[0] if makers else sightings[0][0] if sightings else None
    return wrapped or (index.trace.calls[step] if step is not None else None)

"""States of optimizers that were loaded without a copy: `state_dict()` gives out the tensors that each step writes to.

`Optimizer.load_state_dict` takes over every tensor whose dtype and device fit. What was kept before some steps is what
they have made of it, and what another optimizer has given out is written by both from then on. Which tensors an
optimizer gave out and which it had after a load was seen; that a step writes them is known of PyTorch's optimizers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from inplace.facts.model import Act, GradientAct, TensorId
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

_Params = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LoadedState:
    """The lines that gave out a state, that loaded it, and that stepped: the last step before the load, or one behind.

    `other` is the step of the optimizer that loaded what is another's, None where it had the same tensors before. It is
    so since the call `at`.
    """

    gave: Place
    loaded: Place
    stepped: Place
    other: Place | None
    tensor: TensorId
    at: int


@dataclass(slots=True)
class _Taken:
    """A state that an optimizer has taken over from another, and the first steps of each since."""

    gave: GradientAct
    loaded: GradientAct
    steps: dict[_Params, GradientAct] = field(default_factory=dict)


def loaded_states(index: Index) -> Iterator[LoadedState]:
    """Yield loads of what an optimizer had itself, after steps, and of what two optimizers go on stepping with."""
    acts = index.trace.acts
    # A step over parameters of which there were several optimizers does not tell whose it was.
    built = Counter(act.numbers for act in acts if act.act is Act.BUILT)
    given: dict[int, tuple[int, GradientAct]] = {}
    stepped: dict[_Params, tuple[int, GradientAct]] = {}
    taken: dict[_Params, _Taken] = {}
    for at, act in enumerate(acts):
        if act.act is Act.STATE_GIVEN:
            given.update(dict.fromkeys(_states(act), (at, act)))
        elif act.act is Act.STEPPED:
            stepped[act.numbers] = at, act
            yield from _of_two(index, taken, act)
        elif act.act is Act.STATE_LOADED:
            _let_go(taken, _params(act))
            since, gave = given.get(min(_states(act)), (at, act))
            if not _states(act) <= _states(gave) or max(built[_params(one)] for one in (gave, act)) > 1:
                continue
            last, step = stepped.get(_params(act), (-1, act))
            if _letters(act) == {"o"} and last > since:
                yield from _found(index, (gave, act, step), None, act.step - 1)
            elif _letters(act) == {"t"} and _params(gave) != _params(act):
                _let_go(taken, _params(gave))
                taken[_params(gave)] = taken[_params(act)] = _Taken(gave, act)


def _of_two(index: Index, taken: dict[_Params, _Taken], step: GradientAct) -> Iterator[LoadedState]:
    """What two optimizers have in common, once both have stepped since one took it over."""
    one = taken.get(step.numbers)
    if one is None:
        return
    one.steps.setdefault(step.numbers, step)
    if len(one.steps) > 1:
        own, others = one.steps[_params(one.gave)], one.steps[_params(one.loaded)]
        _let_go(taken, step.numbers)
        yield from _found(index, (one.gave, one.loaded, own), others, step.step)


def _let_go(taken: dict[_Params, _Taken], params: _Params) -> None:
    """Forget what an optimizer has taken over or given, which has another state now."""
    one = taken.get(params)
    if one is not None:
        del taken[_params(one.gave)], taken[_params(one.loaded)]


def _found(
    index: Index, acts: tuple[GradientAct, GradientAct, GradientAct], other: GradientAct | None, at: int
) -> Iterator[LoadedState]:
    gave, loaded, stepped = (_place(index, act) for act in acts)
    if gave is not None and loaded is not None and stepped is not None:
        tensor = TensorId(min(_states(acts[1])))
        yield LoadedState(gave, loaded, stepped, None if other is None else _place(index, other), tensor, at)


def _params(act: GradientAct) -> _Params:
    return act.numbers[: act.found.count("p")]


def _states(act: GradientAct) -> frozenset[int]:
    return frozenset(act.numbers[act.found.count("p") :])


def _letters(act: GradientAct) -> set[str]:
    return set(act.found) - {"p"}


def _place(index: Index, act: GradientAct) -> Place | None:
    return next((index.places.at(frame, None) for frame in act.stack.frames[:1]), None)

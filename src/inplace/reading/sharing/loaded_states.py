"""States of optimizers that were loaded without a copy: `state_dict()` gives out the tensors that each step writes to.

`Optimizer.load_state_dict` takes over every tensor whose dtype and device fit. What was kept before some steps is what
they have made of it, and what another optimizer has given out is written by both from then on. Which tensors an
optimizer gave out and which it had after a load was seen; that a step writes them is known of PyTorch's optimizers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Act, GradientAct, TensorId
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place


@dataclass(frozen=True, slots=True)
class LoadedState:
    """The lines that gave out a state, that loaded it, and that stepped: the last step before the load, or one behind.

    `other` is the step of the optimizer that loaded what is another's, None where it had the same tensors before.
    """

    gave: Place
    loaded: Place
    stepped: Place
    other: Place | None
    tensor: TensorId


def loaded_states(index: Index) -> Iterator[LoadedState]:
    """Yield loads of what an optimizer had itself, after steps, and of what two optimizers go on stepping with."""
    acts = index.trace.acts
    for at, loaded in enumerate(acts):
        if loaded.act is not Act.STATE_LOADED:
            continue
        gave_at = next((one for one in range(at - 1, -1, -1) if _gave(acts[one], loaded)), None)
        if gave_at is None:
            continue
        gave = acts[gave_at]
        if _letters(loaded) <= {"o"}:
            stepped, other = _last_step(acts[gave_at:at], gave), None
        elif _params(gave) != _params(loaded) and "o" not in _letters(loaded):
            behind = _until_loaded(acts[at + 1 :], (gave, loaded))
            stepped, other = _last_step(behind, gave), _last_step(behind, loaded)
            stepped = None if other is None else stepped
        else:
            continue
        lines = [_place(index, one) for one in (gave, loaded, stepped) if one is not None]
        places = [place for place in lines if place is not None]
        if len(places) == 3 and not any(_is_anothers(acts, one) for one in (gave, loaded)):  # noqa: PLR2004 - the three
            gave_out, load, step = places
            tensor = TensorId(min(_states(loaded)))
            yield LoadedState(gave_out, load, step, None if other is None else _place(index, other), tensor)


def _gave(act: GradientAct, loaded: GradientAct) -> bool:
    """Whether an optimizer gave out every tensor that was loaded."""
    return act.act is Act.STATE_GIVEN and _states(loaded) <= _states(act)


def _last_step(acts: tuple[GradientAct, ...], of: GradientAct) -> GradientAct | None:
    """The last step of the optimizer that one act is about."""
    params = _params(of)
    return next((one for one in reversed(acts) if one.act is Act.STEPPED and one.numbers == params), None)


def _is_anothers(acts: tuple[GradientAct, ...], of: GradientAct) -> bool:
    """Whether there were several optimizers of the same parameters: a step over them does not tell whose it was."""
    return sum(one.act is Act.BUILT and one.numbers == _params(of) for one in acts) > 1


def _until_loaded(acts: tuple[GradientAct, ...], of: tuple[GradientAct, ...]) -> tuple[GradientAct, ...]:
    """The acts until one of some optimizers loads another state."""
    params = [_params(one) for one in of]
    ends = (at for at, one in enumerate(acts) if one.act is Act.STATE_LOADED and _params(one) in params)
    return acts[: next(ends, len(acts))]


def _params(act: GradientAct) -> tuple[int, ...]:
    return act.numbers[: act.found.count("p")]


def _states(act: GradientAct) -> frozenset[int]:
    return frozenset(act.numbers[act.found.count("p") :])


def _letters(act: GradientAct) -> set[str]:
    return set(act.found) - {"p"}


def _place(index: Index, act: GradientAct) -> Place | None:
    return next((index.places.at(frame, None) for frame in act.stack.frames[:1]), None)

"""Requests about gradients that PyTorch refused, of which no more is known than its text and the line."""

from __future__ import annotations

from collections.abc import Callable

from inplace.facts.model import TensorState
from inplace.reading.gradients.requests import HowRefused, Unanswered
from inplace.reading.trace.ending import Ending
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

# What a text says of the line itself.
_SAID: dict[str, HowRefused] = {
    "detached view": "detached view",
    "node deleted": "node",
    "integer gradient": "integer",
    "flag of result": "result",
    "kept by non-leaf": "hooked",
    "out requires grad": "out",
    "no parameters": "unregistered",
}
_REAL = ("float", "bfloat", "complex")


def refused_ask(index: Index) -> Unanswered | None:
    """Why the request for a gradient was refused with which the recorded code ended, by PyTorch's text."""
    ending = index.ending
    if ending is None:
        return None
    how = _SAID.get(ending.what)
    if how == "out" and ending.call is not None:
        return None  # its arguments tell
    if how is not None:
        asked = ending.first(_test_of(how))
        maker = None if asked is None or how != "hooked" else index.history.maker(asked[1].tensor, _end(index))
        made = index.places.chain(maker) if maker is not None else ()
        return _refused(how, made or ending.places, ending.place if made else None, asked)
    if ending.what == "element by element" and (asked := ending.first(lambda one: one.requires_grad)) is not None:
        return None if asked[1].is_leaf else _refused("elements", ending.places, None, asked)
    if ending.what == "function without path":
        return _function_without_path(index, ending)
    return _frozen_module(index, ending) if ending.what == "nothing to reduce" else None


def _test_of(how: HowRefused) -> Callable[[TensorState], bool]:
    """What is true of the tensor that was asked."""

    def test(state: TensorState) -> bool:
        if how == "integer":
            return not state.layout.dtype.removeprefix("torch.").startswith(_REAL)
        return state.requires_grad and (how == "out" or not state.is_leaf)

    return test


def _end(index: Index) -> int:
    return len(index.trace.calls)


def _refused(
    how: HowRefused, places: tuple[Place, ...], victim: Place | None, asked: tuple[str, TensorState] | None
) -> Unanswered:
    return Unanswered(how, places, victim, () if asked is None else (asked[1].tensor,))


def _function_without_path(index: Index, ending: Ending) -> Unanswered | None:
    """A function was to be differentiated and its result has no path: what cut that of the last thing it computed."""
    for step in range(_end(index) - 1, -1, -1):
        call = index.trace.calls[step]
        if call.outputs and len(call.stack.frames) > 1:  # in the function, called by what is to differentiate it
            result = index.trace.states[call.outputs[0]]
            return Unanswered("cut", (), ending.place, (result.tensor,))
    return None


def _frozen_module(index: Index, ending: Ending) -> Unanswered:
    """The lines that switched off what a module could be trained by."""
    switched = [
        call
        for call in index.history.calls_of(lambda one: one.label in {"requires_grad", "requires_grad_"})
        if call.inputs and not index.trace.states[call.inputs[0].after].requires_grad
    ]
    places = dict.fromkeys(place for call in switched for place in index.places.chain(call))
    plain = {place.spot: Place(place.label, place.file, place.position, place.code, None) for place in places}
    return Unanswered("frozen module", tuple(plain.values()) or ending.places, ending.place if plain else None, ())

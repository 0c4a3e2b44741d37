"""A request for a gradient that PyTorch refused, or answered with none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from inplace.facts.model import TensorId, TensorState
from inplace.reading.trace.index import Index
from inplace.reading.trace.lineage import lineage
from inplace.reading.trace.place import Place

HowRefused = Literal[
    "result",
    "integer",
    "out",
    "copied",
    "no formula",
    "unused",
    "unregistered",
    "no inputs",
    "plain",
    "view",
    "detached view",
    "node",
    "elements",
    "frozen module",
    "hooked",
    "cut",
    "zero",
    "sampled",
    "derivative",
    "elsewhere",
    "unreduced",
]
"""Why there is no gradient.

result: it was asked of a tensor that is computed, where only a leaf has one.
integer: the dtype can't carry one.
out: the result was to be written into a buffer with `out=`.
copied: a tensor with a graph was to be copied with it.
no formula: a function on the path has no derivative.
unused: the loss does not depend on the tensor.
unregistered: an optimizer got no parameters.
unreduced: DistributedDataParallel waits for the gradients of parameters that the last loss did not depend on.
no inputs: backward was told to go to no tensor at all.
plain: nothing behind the tensor ever required grad.
cut: the path to the tensor was cut before.
zero: every path to it goes through a function whose derivative is zero, or that draws numbers (`sampled`).
derivative: a derivative without a graph of its own is a term of the loss.
elsewhere: what the loss is computed from was made where nothing is recorded, as in another thread.
view: a view was made under `no_grad`, and it or its base is written outside.
detached view: a view was to be detached in place.
node: the `grad_fn` was to be deleted.
elements: each element of a computed tensor was to be given to a Python function.
frozen module: no parameter of a module requires grad.
hooked: a hook that waits for `.grad` was put on a tensor that is computed.
"""

REAL = ("float", "bfloat", "complex", "half", "double")
"""How the names of dtypes begin that can carry a gradient."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """One request without an answer: the places that are to blame, where it was made, and for which tensors."""

    how: HowRefused
    places: tuple[Place, ...]
    victim: Place | None
    tensors: tuple[TensorId, ...]
    raised: bool = True


def made_by(index: Index, how: HowRefused, state: TensorState, step: int, victim: Place | None) -> Unanswered | None:
    """The blame is with the call that made a tensor."""
    maker = index.history.maker(state.tensor, step)
    places = index.places.chain(maker) if maker is not None else ()
    return Unanswered(how, places, victim, (state.tensor,)) if places else None


def never_required(index: Index, tensor: TensorId, step: int, victim: Place | None) -> Unanswered | None:
    """Nothing behind a tensor requires grad: the lines that made what it was computed from, if no cut did it."""
    behind = lineage(index, tensor, step)
    if behind.cuts:
        return Unanswered("cut", (), victim, (tensor,))
    sources = [*(behind.unknown or (tensor,))]
    makers = [maker for one in sources if (maker := index.history.maker(one, step)) is not None]
    places = dict.fromkeys(place for maker in makers for place in index.places.chain(maker))
    return Unanswered("plain", tuple(places), victim, tuple(sources)) if places else None

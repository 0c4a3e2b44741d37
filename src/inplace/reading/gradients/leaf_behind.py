"""The leaf that would be meant by the name of a tensor that was made of it."""

from __future__ import annotations

from dataclasses import dataclass

from inplace.facts.model import Call, TensorId, TensorState
from inplace.reading.trace.index import Index
from inplace.reading.trace.lineage import lineage


@dataclass(frozen=True, slots=True)
class LeafBehind:
    """A leaf whose name went to a tensor that a call made of it; `shared` are the names, none if it never had one."""

    leaf: TensorId
    maker: Call
    shared: tuple[str, ...]


def leaf_behind(index: Index, state: TensorState, step: int) -> LeafBehind | None:
    """The leaf behind a tensor, as it was before a step, that would be meant by the name of that tensor."""
    maker = index.history.maker(state.tensor, step)
    if maker is None:
        return None
    names = index.names.given.get(state.tensor, [])
    if state.requires_grad:
        leaves = [*lineage(index, state.tensor, step).leaves]
    else:  # made under `no_grad`
        given = [index.trace.states[argument.before] for argument in maker.inputs]
        leaves = [one.tensor for one in given if one.is_leaf and one.requires_grad]
    for leaf in leaves:
        if leaf == state.tensor:
            continue
        known = index.names.of(leaf)
        shared = tuple(name for name in names if name in known)
        if shared or (state.requires_grad and not known):
            return LeafBehind(leaf, maker, shared)
    return None

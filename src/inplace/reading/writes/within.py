"""A save and a write that both happened within one call of the user's: no name of theirs stands for that tensor."""

from __future__ import annotations

from inplace.facts.model import Call, NodeId, StorageId
from inplace.reading.trace.index import Index


def modules_within(index: Index, write: Call, node: NodeId, storage: StorageId | None) -> tuple[str, str] | None:
    """The modules that wrote to some bytes and that made a node, where one call of the user's, `model(x)`, ran both.

    Empty where no module was seen. None where two of the user's calls did it, or a variable was seen to reach the
    bytes: then what the lines call the tensor is its name.
    """
    step = index.trace.node_by_id[node].step
    if step is None:
        return None
    made = index.trace.calls[step]
    spots = {None if place is None else place.spot for place in (index.places.of(made), index.places.of(write))}
    by_library = all(call.stack.frames and call.stack.frames[0].entry is not None for call in (made, write))
    if len(spots) > 1 or None in spots or not by_library:
        return None
    over = index.history.tensors_of.get(storage, []) if storage is not None else []
    if any(tensor in index.names.seen for tensor in over):
        return None
    wrote, saved = (call.module for call in (write, made))
    return _named(index, wrote), _named(index, saved)


def _named(index: Index, module: int | None) -> str:
    return "" if module is None else index.trace.modules[module]

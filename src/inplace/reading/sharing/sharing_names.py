"""Variables that reach the same bytes, which were written while both did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from inplace.facts.model import BEFORE, Call, Kind, Name, StorageId, TensorState
from inplace.reading.sharing.repeated import is_initial
from inplace.reading.source.code import root_of
from inplace.reading.trace.history import Write, sets_data
from inplace.reading.trace.index import Index


def sharing_names(index: Index) -> Iterator[tuple[StorageId, list[Write], list[Call]]]:
    """The bytes that two variables reach when a run is over, their writes, and the calls that gave out tensors there.

    The variable of a loop is no second one: it stands for the last of what the loop went through.
    """
    if index.trace.goes_on:
        return
    roots: dict[StorageId, dict[str, None]] = defaultdict(dict)
    paths: dict[StorageId, dict[str, None]] = defaultdict(dict)
    for name in _last_seen(index):
        state = index.history.last_state(name.tensor)
        if state is None or state.storage is None:
            continue
        roots[state.storage][root_of(name.path)] = None
        paths[state.storage][name.path] = None
    for storage, found in sorted(roots.items()):
        writes = index.history.writes_to.get(storage, [])
        many = len(found.keys() - index.definitions.loop_names) > 1 or _items_of_one(paths[storage])
        if not many or not writes or _is_one_parameter(index, storage, paths[storage]):
            continue
        writes = _while_shared(index, storage, writes)
        if not writes:
            continue
        given_out = index.history.given_out(index.history.tensors_of[storage], len(index.trace.calls))
        yield storage, writes, [call for call in given_out if call.function.kind is not Kind.BACKWARD]


def _last_seen(index: Index) -> list[Name]:
    """The names of the last look: of those before, some stand for something else by now."""
    last = max((name.step for name in index.trace.names), default=BEFORE)
    return [name for name in index.trace.names if name.step == last != BEFORE]


def _while_shared(index: Index, storage: StorageId, writes: list[Write]) -> list[Write]:
    """The writes made once tensors with two names were there, without those of a module's own initialisation."""
    over = frozenset(index.history.tensors_of[storage])
    named = {name.path: name.tensor for name in _last_seen(index) if name.tensor in over}
    born = sorted(index.trace.tensors[tensor].first_seen for tensor in named.values())
    later = [write for write in writes if write.call.step >= born[:2][-1]]
    return [write for write in later if not is_initial(write.call) and not sets_data(write.call.function)]


def _is_one_parameter(index: Index, storage: StorageId, paths: Iterable[str]) -> bool:
    """Whether some bytes are those of one parameter or leaf that requires grad, and no second variable stands for it.

    A parameter is known to its module, to an optimizer's groups, to lists and to the loops over them, and is meant to
    be the same in all, as it is where two modules have it by one name (`head.weight = embedding.weight`).
    """
    named = {name.tensor for name in _last_seen(index)}
    over = named.intersection(index.history.tensors_of[storage])
    states = [index.history.last_state(tensor) for tensor in over]
    if len(over) != 1 or not all(one is not None and _is_trained(index, one) for one in states):
        return False
    whole = [path for path in paths if not path.endswith("]")]
    own = {path[path.rindex(".") :] if "." in path else path for path in whole}
    return len(own - index.definitions.loop_names) <= 1


def _is_trained(index: Index, state: TensorState) -> bool:
    """Whether a tensor is a leaf that requires grad, or a parameter, which may be frozen at the end."""
    return index.trace.tensors[state.tensor].type == "Parameter" or (state.is_leaf and state.requires_grad)


def _items_of_one(paths: dict[str, None]) -> bool:
    """Whether several items of one plain container are the same bytes."""
    items = [path for path in paths if path.endswith("]")]
    return len(items) > 1

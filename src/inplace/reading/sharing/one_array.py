"""Tensors that a loop made over the memory of one array, and that live at once: what the array gets shows in all.

`torch.from_numpy(buffer)` is no recorded call: that a line made them is known of the source where one line only does so
in a loop. That they are the same bytes, that they lived at once and that a line was given each of them was seen.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Call, StorageId, TensorId, TensorState
from inplace.facts.source_code import LOOPS, node_position
from inplace.reading.sharing.arrays import wraps
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

_FEWEST = 3  # tensors at once: a loop may hold the last one beside its own
_COMPREHENSIONS = (ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp)


@dataclass(frozen=True, slots=True)
class OneArray:
    """Tensors over one array: the line that made them, the state of the last, and the call that was given it."""

    keep: Place
    state: TensorState
    read: Call


def tensors_of_one_array(index: Index) -> Iterator[OneArray]:
    """Yield the first such tensors of the one line that makes them in a loop."""
    storages = [one for one in index.history.tensors_of if index.trace.storages[one].external]
    found = next((one for storage in storages if (one := _alive_at_once(index, storage)) is not None), None)
    keep = _made_in_a_loop(index) if found is not None else None
    if found is not None and keep is not None:
        yield OneArray(keep, *found)


def _alive_at_once(index: Index, storage: StorageId) -> tuple[TensorState, Call] | None:
    """The last of several tensors that no call made, which one line was given one behind the other while all lived."""
    history, trace = index.history, index.trace
    groups: dict[object, list[tuple[int, TensorId, TensorState]]] = defaultdict(list)
    for tensor in history.tensors_of[storage]:
        if trace.tensors[tensor].origin is None and history.sightings.get(tensor):
            step, number = history.sightings[tensor][0]
            state = trace.states[number]
            groups[trace.calls[step].stack, state.offset, state.layout].append((step, tensor, state))
    for group in groups.values():
        last = group[-1][0]
        living = [one for one in group if (died := trace.tensors[one[1]].died) is None or died > last]
        if len({step for step, *_ in living}) >= _FEWEST:
            return living[-1][2], trace.calls[last]
    return None


def _made_in_a_loop(index: Index) -> Place | None:
    """The one call in the sources that makes a tensor over an array, where a loop is around it."""
    found = [(number, node) for number in range(len(index.places.codes)) for node in _wrapping(index, number)]
    if len(found) != 1:
        return None
    (number, node) = found[0]
    code, position = index.places.codes[number].source_code, node_position(node)
    statements = code.statements_around(position)
    function = code.function_around(position)
    own = statements[statements.index(function) + 1 :] if function in statements else statements
    in_comprehension = any(isinstance(one, _COMPREHENSIONS) for one in ast.walk(own[-1]))
    is_looped = in_comprehension or any(isinstance(one, LOOPS) for one in own[:-1])
    return index.places.in_source(number, position) if is_looped else None


def _wrapping(index: Index, number: int) -> Iterator[ast.Call]:
    nodes = index.places.codes[number].source_code.nodes
    return (node for node in nodes if isinstance(node, ast.Call) and wraps(node))

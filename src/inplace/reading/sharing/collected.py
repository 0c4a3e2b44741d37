"""A variable that a loop puts into a container again and again, while it stays one tensor that is written between.

Who prints or returns the container calls no function of PyTorch; the reader is the first line behind that mentions it.
"""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Container, Iterator
from dataclasses import dataclass

from inplace.facts.model import TensorId
from inplace.facts.source_code import node_position
from inplace.reading.sharing.kept_objects import KeptObject, KeptObjects
from inplace.reading.source.bindings import Binding
from inplace.reading.source.code import leaves_kept_by
from inplace.reading.trace.history import SET_ITEM
from inplace.reading.trace.index import Index
from inplace.reading.trace.mentions import Mention, Mentions
from inplace.reading.trace.origins import Origin
from inplace.reading.trace.place import Place
from inplace.reading.trace.spelled import is_path

_RUNS = 16  # runs of one line that are looked at
_MOST = 200  # such lines that are looked at in one source


@dataclass(frozen=True, slots=True)
class _Put:
    """A line that collects a variable: `text`; the first line behind that reads the container stands at `reader`."""

    origin: Origin
    text: str
    reader: Place


def collected_by_name(index: Index, objects: KeptObjects) -> Iterator[KeptObject]:
    """Yield the variables that were collected more than once as one tensor, and written between."""
    copying = {index.places.statement_of(call) for call in index.history.calls_of(lambda one: one.label == SET_ITEM)}
    puts = [one for source in range(len(index.places.codes)) for one in _puts(index, objects, source, copying)]
    wanted: dict[int, set[str]] = {}
    for put in puts:
        wanted.setdefault(put.origin.source, set()).add(put.text)
    mentions = Mentions(index, wanted)
    for put in puts:
        found = _collected(index, objects, mentions, put)
        if found is not None:
            yield found


def _puts(index: Index, objects: KeptObjects, source: int, copying: Container[object]) -> Iterator[_Put]:
    code, label = index.places.codes[source], index.trace.sources[source]
    statements = [one for every in objects.origins.bindings(source).puts.values() for one in every]
    for statement in filter(_is_of_python, statements[:_MOST]):
        if (label.file, node_position(statement)) in copying:
            continue  # `out[t] = h` of a tensor
        for value in leaves_kept_by(statement):
            at = node_position(value)
            holder = code.holder(at) if is_path(value) and code.collects(at) else None
            reader = code.mentioned_behind(at, holder) if holder is not None else None
            if reader is not None:
                place = index.places.in_source(source, reader)
                yield _Put(Origin(source, statement, value, put=True), ast.unparse(value), place)


def _is_of_python(statement: ast.stmt) -> bool:
    """Whether a statement puts something into a list or a dictionary; other objects may make copies."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    method = call.func.attr if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else None
    return method is None or method in {"append", "appendleft", "insert"}


def _collected(index: Index, objects: KeptObjects, mentions: Mentions, put: _Put) -> KeptObject | None:
    origin = put.origin
    code = index.places.codes[origin.source].source_code
    function = code.function_around(node_position(origin.statement))
    named = [one for one in mentions.of(origin.source, put.text) if code.function_around(one.position) is function]
    given = _runs_given(index, objects, put) if named else []
    first: dict[TensorId, int] = {}
    for run in objects.runs.of(origin.source, origin.statement)[:_RUNS] if named else ():
        tensor = _tensor_at(index, mentions, named, put, run, given)
        state = index.history.last_state(tensor) if tensor is not None else None
        if tensor is None or state is None:
            continue
        before = first.setdefault(tensor, run)
        write = objects.write_between(origin, state, before, run + 1) if before < run else None
        if write is not None:
            return KeptObject(objects.place(origin), write, put.reader, state, put.text)
    return None


def _runs_given(index: Index, objects: KeptObjects, put: _Put) -> list[tuple[int, Binding]]:
    """When the variable was given another value in the function that puts it away, in order.

    Of a loop that gives it its items it is not known when.
    """
    source, table = put.origin.source, objects.origins.bindings(put.origin.source)
    code = index.places.codes[source].source_code
    function = code.function_around(node_position(put.origin.statement))
    bound = table.names.get((function, put.text), []) if put.text.isidentifier() else []
    if not put.text.isidentifier():
        attribute = table.attributes.get(put.text.rpartition(".")[2], [])
        bound = [one for one in attribute if code.function_around(one.position) is function]
    runs = [
        (run, one)
        for one in bound
        if one.statement is not None and one.scope is None
        for run in objects.runs.of(source, one.statement)
    ]
    return sorted(runs, key=lambda pair: pair[0])


def _tensor_at(
    index: Index, mentions: Mentions, named: list[Mention], put: _Put, run: int, given: list[tuple[int, Binding]]
) -> TensorId | None:
    """What a variable was at a step: by its last mention before that, or the last call that gave it its value since."""
    last = bisect_right(given, run, key=lambda pair: pair[0]) - 1
    for one in reversed(named[: bisect_right(named, run, key=lambda one: one.step)][-4:]):
        if last >= 0 and given[last][0] >= one.step:
            return _given_by(index, *given[last])
        exact = mentions.exact(one, put.text)
        if exact:
            return exact[0]
    return None


def _given_by(index: Index, step: int, binding: Binding) -> TensorId | None:
    """What an assignment gave its name, where it is the result of its last call."""
    call = index.trace.calls[step] if step >= 0 else None
    place = index.places.of(call) if call is not None else None
    if call is None or place is None or place.position != binding.position or len(call.outputs) != 1 or binding.items:
        return None
    return index.trace.states[call.outputs[0]].tensor

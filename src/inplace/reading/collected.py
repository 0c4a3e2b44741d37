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
from inplace.reading.code import leaves_kept_by
from inplace.reading.history import SET_ITEM
from inplace.reading.index import Index
from inplace.reading.kept_objects import KeptObject, KeptObjects
from inplace.reading.mentions import Mention, Mentions
from inplace.reading.origins import Origin
from inplace.reading.place import Place
from inplace.reading.spelled import is_path

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
    first: dict[TensorId, int] = {}
    for run in objects.runs.of(origin.source, origin.statement)[:_RUNS] if named else ():
        tensor = _tensor_at(mentions, named, put.text, run)
        state = index.history.last_state(tensor) if tensor is not None else None
        if tensor is None or state is None:
            continue
        before = first.setdefault(tensor, run)
        write = objects.write_between(origin, state, before, run + 1) if before < run else None
        if write is not None:
            return KeptObject(objects.place(origin), write, put.reader, state, put.text)
    return None


def _tensor_at(mentions: Mentions, named: list[Mention], text: str, run: int) -> TensorId | None:
    """What a variable was by its last mention before a step."""
    for one in reversed(named[: bisect_right(named, run, key=lambda one: one.step)][-4:]):
        exact = mentions.exact(one, text)
        if exact:
            return exact[0]
    return None

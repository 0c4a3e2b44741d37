"""Numpy arrays over the memory of tensors: kept by a name, written through the tensor, and read under that name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import ARRAYS, Call, Kind, Stack, StorageId
from inplace.reading.source.code import Code
from inplace.reading.source.scopes import may_be_bound_between, sees
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

_MOST = 64  # lines that hand memory to numpy of which the arrays are followed
_NEAR = 8  # calls of the statement that reads an array
_LABELS = frozenset({"numpy", "__array__"})
_WRAPPING = frozenset({"from_numpy", "as_tensor", "asarray", "frombuffer", "from_dlpack"})


@dataclass(frozen=True, slots=True)
class ArrayRead:
    """An array that a line kept, the write to its memory, and the line that read the array then, under a name.

    It is `compared` where that line asks for the array of the same tensor anew.
    """

    keep: Call
    write: Write
    read: Call
    reader: Place
    name: str
    compared: bool


def array_reads(index: Index) -> Iterator[ArrayRead]:
    """Yield the arrays that were read by their name after a call had written the tensor behind them."""
    columns = index.history.columns
    steps = columns.steps_of(lambda function: function.kind is Kind.EXPORT and function.label in _LABELS)
    seen: set[Stack] = set()
    for step in steps:
        keep = index.trace.calls[step]
        if keep.stack in seen or len(seen) >= _MOST or not keep.inputs or not keep.stack.frames:
            continue
        state = index.trace.states[keep.inputs[0].before]
        write = next((one for one in index.history.writes_of(state) if one.call.step > step), None)
        name = _name_of(index, keep)
        if write is None or name is None:
            continue
        again = next((later for later in steps if later > step and index.trace.calls[later].stack == keep.stack), None)
        read = _reader(index, keep, name, write.call.step, len(columns.stack) if again is None else again)
        if read is not None:
            seen.add(keep.stack)
            call, place = read
            yield ArrayRead(keep, write, call, place, name, _asks_again(index, call, state.storage))


def _asks_again(index: Index, read: Call, storage: StorageId | None) -> bool:
    """Whether the statement of a call asks for an array over some memory anew."""
    statement = index.places.statement_of(read)
    for step in range(read.step, min(read.step + _NEAR, len(index.trace.calls))):
        call = index.trace.calls[step]
        if index.places.statement_of(call) != statement:
            return False
        given = [index.trace.states[one.before] for one in call.inputs]
        if call.function.kind is Kind.EXPORT and any(one.storage == storage for one in given):
            return True
    return False


def _name_of(index: Index, keep: Call) -> str | None:
    place = index.places.of(keep)
    code = index.places.code(place) if place is not None else None
    if place is None or code is None:
        return None
    given = code.assigned_from(place.position)
    if not given and code.holds(place.position) and not code.puts_away(place.position):
        given = code.targets(place.position)  # `before = {name: p.detach().numpy() for name, p in ...}`
    return given[0] if len(given) == 1 else None


def collected_arrays(index: Index) -> Iterator[ArrayRead]:
    """Yield the arrays of one memory that a line put into a container again and again, which was written between.

    Who reads them calls no function of PyTorch; it is the first line elsewhere that mentions the container.
    """
    columns = index.history.columns
    first: dict[tuple[Stack, object], int] = {}
    told: set[Stack] = set()
    for step in columns.steps_of(lambda function: function.kind is Kind.EXPORT and function.label in _LABELS):
        keep = index.trace.calls[step]
        if not keep.inputs or not keep.stack.frames or keep.stack in told or len(told) >= _MOST:
            continue
        state = index.trace.states[keep.inputs[0].before]
        before = first.setdefault((keep.stack, (state.storage, state.offset, state.layout)), step)
        writes = index.history.writes_of(state)
        write = next(
            (one for one in writes if before < one.call.step < step and index.overlaps.of(one.after, state)), None
        )
        place = index.places.of(keep)
        if write is None or place is None:
            continue
        told.add(keep.stack)
        code = index.places.code(place)
        holder = code.holder(place.position) if code.collects(place.position) else None
        reader = code.mentioned_behind(place.position, holder) if holder is not None else None
        if reader is not None and holder is not None:
            yield ArrayRead(keep, write, keep, index.places.beside(place, reader), ast.unparse(holder), compared=True)


def _reader(index: Index, keep: Call, name: str, after: int, before: int) -> tuple[Call, Place] | None:
    """The first call between two steps whose statement reads the variable that an array was given, as it is still."""
    columns, frame = index.history.columns, keep.stack.frames[0]
    site = index.places.site(frame)
    code = index.places.codes[site.source]
    function = code.source_code.function_around(site.position)
    own = code.source_code.statement(site.position)
    known: dict[int, Place | None] = {}
    for step in range(after + 1, before):
        stack = columns.stack[step]
        if stack not in known:
            known[stack] = None
            for other in columns.stacks[stack].frames:
                at = index.places.site(other)
                inside = at.source == site.source and (
                    not name.isidentifier() or sees(code, at.position, name, function)
                )
                statement = code.source_code.statement(at.position) if inside else None
                if statement is not None and statement is not own and _reads(code, statement, name):
                    if own is None or not may_be_bound_between(code, name, own, statement):
                        known[stack] = index.places.at(other, step)
                    break
        place = known[stack]
        if place is not None:
            return index.trace.calls[step], place
    return None


def _reads(code: Code, statement: ast.stmt, name: str) -> bool:
    """Whether a statement without others in it reads a variable, or an attribute or item of that text."""
    if statement not in code.source_code.simple:
        return False
    for node in ast.walk(statement):
        path = isinstance(node, ast.Name | ast.Attribute | ast.Subscript)
        if path and isinstance(node.ctx, ast.Load) and ast.unparse(node) == name:  # type: ignore[attr-defined]
            return True
    return False


# ---------------------------------------------------------------- the other way round


@dataclass(frozen=True, slots=True)
class ForeignWrite:
    """Writes to a tensor over memory of somebody else's, and the line that made it of that, where it is known."""

    storage: StorageId
    writes: list[Write]
    keep: Place | None
    name: str


def foreign_writes(index: Index) -> Iterator[ForeignWrite]:
    """Yield the writes to tensors that no call made, over memory that others own: those find it changed."""
    for storage, writes in index.history.writes_to.items():
        first = index.history.tensors_of[storage][0]
        if not index.trace.storages[storage].external or index.trace.tensors[first].origin is not None:
            continue
        name = index.spelled.text(writes[0].call, writes[0].argument.path)
        if name is not None:
            yield ForeignWrite(storage, writes, wrapped_at(index, writes[0].call, name), name)


def wrapped_at(index: Index, call: Call, name: str) -> Place | None:
    """The call that gave a name a tensor over an array, in the source of a call."""
    place = index.places.of(call)
    code = index.places.code(place) if place is not None else None
    for position in code.assignments(name) if code is not None else ():
        statement = code.statement(position) if code is not None else None
        value = statement.value if isinstance(statement, ast.Assign) else None
        if place is not None and isinstance(value, ast.Call) and wraps(value):
            return index.places.beside(place, position)
    return None


def may_be_of_array(index: Index, storage: StorageId) -> bool:
    """Whether code of this process outside PyTorch may have memory that is shared: an array that it made, or wraps."""
    steps = index.history.columns.steps_of(lambda function: function.label in ARRAYS)
    given = (index.trace.states[one.before].storage for call in index.history.calls_at(steps) for one in call.inputs)
    if storage in given:
        return True
    return any(name in (source.text or "") for source in index.trace.sources for name in _WRAPPING)


def kept_arrays(function: ast.stmt) -> Iterator[ast.Call]:
    """The calls in a method that make tensors of arrays which its object keeps: `torch.from_numpy(self.images[i])`."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and wraps(node) and ast.unparse(node.args[0]).startswith("self."):
            yield node


def wraps(call: ast.Call) -> bool:
    """Whether a call makes a tensor over the memory of what it is given, by its name."""
    return bool(call.args) and ast.unparse(call.func).rpartition(".")[2] in _WRAPPING

"""Writes into copies that nobody reads again: a temporary of one statement, or a name that is only written to."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.collectives import is_collective
from inplace.facts.model import Call, Kind, Position, StackFrame, StorageId
from inplace.facts.source_code import node_position
from inplace.reading.source.flow import is_read_below
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

# Calls that give out the elements of another tensor in memory of their own, some of them only now and then.
_COPIES = frozenset(
    [
        *("__getitem__", "index_select", "masked_select", "take", "gather", "take_along_dim", "clone", "contiguous"),
        *(
            "to",
            "type",
            "type_as",
            "float",
            "double",
            "half",
            "bfloat16",
            "long",
            "int",
            "short",
            "bool",
            "cpu",
            "cuda",
        ),
        *("reshape", "flatten", "ravel", "repeat", "tile", "repeat_interleave", "tensor"),
        *("cat", "concat", "concatenate", "stack", "hstack", "vstack"),
    ]
)
_ASKED_FOR = frozenset({"clone"})  # a name for such a copy says that it is one


@dataclass(frozen=True, slots=True)
class LostCopy:
    """A copy that was written and then dropped unread: the call that made it, the last write, and where that is told.

    `places` are the write, the statement of the temporary where that is another line, and where a named copy was made.
    """

    maker: Call
    write: Write
    places: tuple[Place, ...]


def lost_copies(index: Index) -> Iterator[LostCopy]:
    """Yield the copies of tensors that calls wrote into, and that died before anybody read them again."""
    copies = _CopiesOnly(index)
    for storage, writes in index.history.writes_to.items():
        last = writes[-1]
        maker = copies.maker(storage, last)
        if maker is None or copies.is_seen_after(storage, last.call.step):
            continue
        found = _of_statement(index, maker, last, storage) or _of_name(index, maker, last, copies)
        if found:
            yield LostCopy(maker, last, found)


class _CopiesOnly:
    """What was made as a copy, and when it was seen last."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def maker(self, storage: StorageId, write: Write) -> Call | None:
        """The call that made the bytes of a storage as a copy; None where they came about in another way."""
        trace = self._index.trace
        if is_collective(write.call.function.name):  # what a rank hands on is read by others
            return None
        if write.call.function.kind is not Kind.OP or write.call.raised is not None or write.call.within is not None:
            return None
        first = self._index.history.tensors_of[storage][0]
        origin = trace.tensors[first].origin
        if origin is None or origin < 0 or trace.storages[storage].external:
            return None
        maker = trace.calls[origin]
        if maker.function.label not in _COPIES or not maker.inputs or maker.within is not None:
            return None
        return None if trace.states[maker.inputs[0].before].storage == storage else maker

    def is_seen_after(self, storage: StorageId, step: int) -> bool:
        """Whether a call after a step was given, or gave out, a tensor over a storage."""
        sightings, tensors = self._index.history.sightings, self._index.history.tensors_of[storage]
        return any(sightings[tensor][-1][0] > step for tensor in tensors if tensor in sightings)

    def is_left(self, storage: StorageId | None, name: str) -> bool:
        """Whether nobody can read a copy any more: it has died, or only a name of the script that ended reaches it.

        In a session a later cell may read it, and what comes of a run that goes on.
        """
        if storage is None or self._index.trace.storages[storage].died is not None:
            return storage is not None
        trace = self._index.trace
        return not trace.is_session and not trace.goes_on and set(self._index.names.over(storage)) <= {name}

    def is_given_after(self, maker: Call, step: int) -> bool:
        """Whether a call after a step was given what a copy was made of: somebody expects to find the write there."""
        state = self._index.trace.states[maker.inputs[0].before]
        if state.storage is None:
            return False
        sightings, tensors = self._index.history.sightings, self._index.history.tensors_of[state.storage]
        if any(sightings[tensor][-1][0] > step for tensor in tensors if tensor in sightings):
            return True
        place = self._index.places.of(self._index.trace.calls[step])
        name = self._index.spelled.text(maker, maker.inputs[0].path)
        return place is not None and is_read_below(self._index.places.code(place), name or "", place.position)


# ---------------------------------------------------------------- of one statement


def _of_statement(index: Index, maker: Call, write: Write, storage: StorageId) -> tuple[Place, ...]:
    """The places of a write into a temporary of the statement that made it, which drops what the write gives out."""
    frame = _common_frame(index, maker, write.call)
    if frame is None or not _dies_with(index, write, frame[1], storage):
        return ()
    if maker.function.label in _ASKED_FOR and frame[1] is not write.call.stack.frames[0]:
        return ()  # what is handed to a function, so that it has something of its own to write to
    wrote = index.places.at(frame[1], write.call.step)
    code = index.places.code(wrote)
    at, made_at = index.places.site(frame[1]).position, index.places.site(frame[0]).position
    statement = code.statement(at)
    if statement is None or code.statement(made_at) is not statement or not _drops(statement, at, made_at):
        return ()
    return tuple({place.spot: place for place in (*index.places.chain(write.call), wrote)}.values())


def _common_frame(index: Index, one: Call, two: Call) -> tuple[StackFrame, StackFrame] | None:
    """The innermost frame that was the same for two calls, with where it was for each."""
    frames = zip(reversed(one.stack.frames), reversed(two.stack.frames), strict=False)
    for first, second in frames:
        if first != second:
            sites = index.places.site(first), index.places.site(second)
            same = (sites[0].source, sites[0].function) == (sites[1].source, sites[1].function)
            return (first, second) if same else None
    return None


def _dies_with(index: Index, write: Write, frame: StackFrame, storage: StorageId) -> bool:
    """Whether a storage had died by the first call after those that a frame made of the user's where it wrote."""
    died, columns = index.trace.storages[storage].died, index.history.columns
    outer = write.call.stack.frames[write.call.stack.frames.index(frame) :]
    step = write.call.step
    while died is not None and step < died and step + 1 < len(columns.stack):
        if columns.stacks[columns.stack[step + 1]].frames[-len(outer) :] != outer:
            break
        step += 1
    return died is not None and died <= step + 1


def _drops(statement: ast.stmt, wrote: Position, made: Position) -> bool:
    """Whether a statement writes to what an expression in it has made, and does no more with that."""
    if isinstance(statement, ast.Expr):
        return node_position(statement.value) == wrote and wrote.holds(made) and wrote != made
    target: ast.expr | None = None
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
    elif isinstance(statement, ast.AugAssign):
        target = statement.target
    if not isinstance(target, ast.Subscript):
        return False
    return node_position(target) == wrote and node_position(target.value).holds(made)


# ---------------------------------------------------------------- under a name


def _of_name(index: Index, maker: Call, write: Write, copies: _CopiesOnly) -> tuple[Place, ...]:
    """The places of a write through a name that stands for a copy, and is mentioned nowhere but where it is written."""
    frame, place = _common_frame(index, maker, write.call), index.places.of(write.call)
    if frame is None or place is None or frame[1] is not write.call.stack.frames[0]:
        return ()
    if maker.function.label in _ASKED_FOR or not copies.is_given_after(maker, write.call.step):
        return ()
    code = index.places.code(place)
    made_at = index.places.site(frame[0]).position
    names = code.names_given(made_at)
    function = code.source_code.function_around(place.position)
    if len(names) != 1 or code.source_code.function_around(made_at) is not function:
        return ()
    if not copies.is_left(write.before.storage, names[0]):
        return ()
    for statement in code.source_code.mentioning(names[0], function):
        receiver = code.written_name(statement)
        if receiver != names[0] and not node_position(statement).holds(made_at):
            return ()
    made = index.places.at(frame[0], maker.step)
    return (*index.places.chain(write.call), made)

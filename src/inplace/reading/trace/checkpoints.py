"""Regions of calls that `torch.utils.checkpoint` ran once and runs again in backward, and what went into them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Stack, StackFrame, TensorId
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One call of `checkpoint`: where, its first step, and the tensors that were there before and went into it."""

    place: Place
    begin: int
    inputs: tuple[TensorId, ...]


def checkpoints(index: Index, before: int) -> Iterator[Checkpoint]:
    """The calls of `checkpoint` before a step, in order."""
    columns = index.history.columns
    frames = [frame_of(index, stack) for stack in columns.stacks]
    last: StackFrame | None = None
    begin, found = 0, dict[TensorId, None]()
    for step in range(before if any(frames) else 0):
        frame = frames[columns.stack[step]]
        if frame != last:
            if last is not None:
                yield Checkpoint(index.places.at(last, None), begin, tuple(found))
            last, begin, found = frame, step, {}
        for state in columns.before[columns.begins[step] : columns.begins[step + 1]] if frame is not None else ():
            tensor = index.history.tensors_by_state[state]
            facts = index.trace.tensors[tensor]
            if facts.first_seen < begin and facts.type != "Parameter":
                found[tensor] = None
    if last is not None:
        yield Checkpoint(index.places.at(last, None), begin, tuple(found))


def frame_of(index: Index, stack: Stack) -> StackFrame | None:
    """The user's frame that called `checkpoint`, by its source."""
    for frame in stack.frames:
        if frame.entry is None:
            continue
        place = index.places.at(frame, None)
        node = index.places.code(place).source_code.node(place.position)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {"checkpoint", "ckpt"}:
            return frame
    return None


def written_since(index: Index, tensor: TensorId, begin: int, end: int) -> list[Write]:
    """The counted writes to a tensor's bytes from a step on, before another."""
    state = index.history.last_state(tensor)
    writes = index.history.writes_to.get(state.storage, ()) if state is not None and state.storage is not None else ()
    return [write for write in writes if write.counted and begin <= write.call.step < end]

"""Assignments that do nothing: to what nobody reads, found by the source and by what was seen of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inplace.facts.model import Act, Kind, Position, Source, TensorId
from inplace.facts.source_code import node_position
from inplace.reading.code import Code
from inplace.reading.index import Index
from inplace.reading.place import Place

_FLAG = "requires_grad"


@dataclass(frozen=True, slots=True)
class IdleAssignment:
    """An assignment to an attribute that nobody reads; `tensors` are those that it leaves as they were."""

    place: Place
    how: Literal["method", "flag"]
    receiver: str
    attribute: str
    tensors: tuple[TensorId, ...]


def idle_assignments(index: Index) -> Iterator[IdleAssignment]:
    """Yield in-place methods of tensors that were assigned to, then flags set on modules whose parameters lack them."""
    flagged = tuple(dict.fromkeys(n for act in index.trace.acts if act.act is Act.UNREAD for n in act.numbers))
    set_at = _sites(index, Kind.SETTER) if flagged else set()
    read_at: set[tuple[int, Position]] | None = None
    for number, (source, code) in enumerate(zip(index.trace.sources, index.places.codes, strict=True)):
        for statement in code.source_code.statements:
            target = statement.targets[0] if isinstance(statement, ast.Assign) else None
            if not isinstance(target, ast.Attribute):
                continue
            receiver, at = ast.unparse(target.value), (number, node_position(target))
            if target.attr == _FLAG and flagged and at not in set_at:
                place = _place(source, code, node_position(statement))
                yield IdleAssignment(place, "flag", receiver, _FLAG, tuple(map(TensorId, flagged)))
            elif target.attr.endswith("_") and not target.attr.startswith("_"):
                read_at = _sites(index, Kind.GETTER) if read_at is None else read_at
                if (number, node_position(target.value)) in read_at:
                    place = _place(source, code, node_position(statement))
                    yield IdleAssignment(place, "method", receiver, target.attr, ())


def _sites(index: Index, kind: Kind) -> set[tuple[int, Position]]:
    """Where attributes of tensors were read, or set, by the user's own lines."""
    columns, found = index.history.columns, set[tuple[int, Position]]()
    stacks = {columns.stack[step] for step in columns.steps_of(lambda function: function.kind is kind)}
    for stack in stacks:
        for frame in columns.stacks[stack].frames[:1]:
            site = index.places.site(frame)
            found.add((site.source, site.position))
    return found


def _place(source: Source, code: Code, position: Position) -> Place:
    return Place(source.label, source.file, position, code.text(position), None)

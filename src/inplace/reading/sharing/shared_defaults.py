"""Tensors that are made once for all objects of a class: in its body, or as the default of what makes its objects."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Call, Position
from inplace.facts.source_code import FUNCTIONS, LOOPS, node_position
from inplace.reading.sharing.aliases import pairs_assigned
from inplace.reading.sharing.arguments import WrittenArgument, defaults_of, written_and_made
from inplace.reading.source.code import Code, root_of
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, slots=True)
class _Shared:
    """An expression that is made once, of a class, and the attribute by which all its objects have the result."""

    position: Position
    owner: ast.ClassDef
    attribute: str


def written_for_all(index: Index) -> Iterator[WrittenArgument]:
    """Yield the tensors that a class has one of, which one object wrote in place by its own attribute.

    Several objects are known by the source: it makes more than one, or makes them in a loop. Who writes by the name of
    the class, or in a class method, means all of them.
    """
    shared = [list(_shared_by(code)) for code in index.places.codes]
    if not any(shared):
        return
    for maker, site, writes in written_and_made(index):
        for one in shared[site.source]:
            is_made_there = one.position.holds(site.position) and site.function.rpartition(".")[2] != "<lambda>"
            if is_made_there and _makes_several(index, one.owner):
                found = _written(index, one, maker, writes)
                if found is not None:
                    yield found


def _shared_by(code: Code) -> Iterator[_Shared]:
    for owner in code.source_code.statements:
        if not isinstance(owner, ast.ClassDef):
            continue
        for one in owner.body:
            target = one.targets[0] if isinstance(one, ast.Assign) else getattr(one, "target", None)
            value = one.value if isinstance(one, ast.Assign | ast.AnnAssign) else None
            if isinstance(target, ast.Name) and isinstance(value, ast.Call):
                yield _Shared(node_position(value), owner, target.id)
            if isinstance(one, FUNCTIONS) and one.name == "__init__":
                for position, parameter in defaults_of(one):
                    yield from (_Shared(position, owner, name) for name in _attributes_given(one, parameter))


def _attributes_given(function: ast.stmt, parameter: str) -> Iterator[str]:
    """The attributes that a function gives the very tensor which it was given: `self.state = state`."""
    for node in ast.walk(function):
        for target, value in pairs_assigned(node):
            if isinstance(target, ast.Attribute) and isinstance(value, ast.Name) and value.id == parameter:
                yield target.attr


def _makes_several(index: Index, owner: ast.ClassDef) -> bool:
    """Whether the source makes more than one object of a class."""
    count = 0
    for code in index.places.codes:
        for node in code.source_code.nodes:
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == owner.name:
                at = node_position(node)
                around = code.source_code.statements_around(at)
                function = code.source_code.function_around(at)
                inside = around[around.index(function) :] if function in around else around
                many = any(isinstance(one, LOOPS) for one in inside) or any(
                    isinstance(one, _COMPREHENSIONS) and node_position(one).holds(at) for one in ast.walk(around[-1])
                )
                count += 2 if many else 1
    return count > 1


def _written(index: Index, shared: _Shared, maker: Call, writes: list[Write]) -> WrittenArgument | None:
    """The first write by an attribute of an object, and the first call of another line that found it."""
    for write in writes:
        text = index.spelled.text(write.call, write.argument.path) or ""
        parts = text.split(".")
        if len(parts) < 2 or parts[-1].partition("[")[0] != shared.attribute:  # noqa: PLR2004  # an object and its attribute
            continue
        if root_of(text) in {shared.owner.name, "cls"} or ".__class__." in text:
            continue
        read = _read_after(index, write)
        if read is not None:
            return WrittenArgument(index.places.at(maker.stack.frames[0], maker.step), write, read, text)
    return None


def _read_after(index: Index, write: Write) -> Call | None:
    """The first call that was given what was written in another run of the line, or by another line."""
    sightings = index.history.sightings.get(write.before.tensor, [])
    later = [index.trace.calls[step] for step, _ in sightings if step > write.call.step]
    others = [call for call in later if call.stack != write.call.stack]
    return next(iter(others or later), None)

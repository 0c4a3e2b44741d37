"""What names in an index stand for, where the source says it: numbers that are assigned once, and sizes of a tensor."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from contextlib import suppress

from inplace.facts.model import Position
from inplace.facts.source_code import node_position
from inplace.reading.source.code import Code, number_of


def only_value(code: Code, name: str, position: Position) -> ast.expr | None:
    """What a name is assigned in the function around a range, where that is done once, above it."""
    source = code.source_code
    function = source.function_around(position)
    stored = [
        one
        for one in source.names.get(name, ())
        if isinstance(one.ctx, ast.Store) and source.function_around(node_position(one)) is function
    ]
    if len(stored) != 1 or node_position(stored[0]).start >= position.start:
        return None
    around = source.statements_around(node_position(stored[0]))
    statement = around[-1] if around else None
    if not isinstance(statement, ast.Assign) or statement.targets != [stored[0]]:
        return None
    return statement.value


def sizes_of(text: str, shape: tuple[int, ...]) -> dict[str, int]:
    """The sizes of a tensor that is called `text`, by how they are written."""
    found = {f"len({text})": shape[0]} if shape else {}
    for number, size in enumerate(shape):
        for at in (number, number - len(shape)):
            found.update({f"{text}.{spelled}": size for spelled in (f"size({at})", f"shape[{at}]", f"size(dim={at})")})
    return found


def known_numbers(code: Code, parts: Iterable[ast.expr], position: Position, sizes: dict[str, int]) -> dict[str, int]:
    """The numbers that names in some expressions stand for, and the sizes that they may be written with."""
    found = dict(sizes)
    for part in parts:
        for one in ast.walk(part):
            value = only_value(code, one.id, position) if isinstance(one, ast.Name) else None
            if isinstance(one, ast.Name) and value is not None:
                with suppress(ValueError):
                    found.setdefault(one.id, number_of(value, sizes))
    return found

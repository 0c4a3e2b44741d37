"""Where a source takes parts of several tensors side by side, as a batch is taken: `x[i : i + n], y[i : i + n]`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Position
from inplace.facts.source_code import LOOPS, node_position
from inplace.reading.source.code import Code

_FEWEST = 2  # tensors that a batch has parts of


@dataclass(frozen=True, slots=True)
class Taken:
    """Parts that are taken side by side; whether a function yields them, or gives them out or names them."""

    positions: frozenset[Position]
    is_yielded: bool


def taken_side_by_side(code: Code) -> dict[Position, Taken]:
    """The ranges that take a part of one of several tensors, with all that are taken side by side there."""
    found: dict[Position, Taken] = {}
    for node in code.source_code.nodes:
        if isinstance(node, ast.Yield | ast.Return) and isinstance(node.value, ast.Tuple):
            found.update(_joined(_parts(node.value.elts), is_yielded=isinstance(node, ast.Yield)))
        elif isinstance(node, LOOPS):
            by_index: dict[str, list[ast.Subscript]] = {}
            for part in _named(node.body):
                by_index.setdefault(ast.unparse(part.slice), []).append(part)
            for parts in by_index.values():
                found.update(_joined(parts, is_yielded=False))
    return found


def _joined(parts: list[ast.Subscript], *, is_yielded: bool) -> dict[Position, Taken]:
    if len({ast.unparse(one.value) for one in parts}) < _FEWEST:
        return {}
    taken = Taken(frozenset(map(node_position, parts)), is_yielded)
    return dict.fromkeys(taken.positions, taken)


def _parts(values: list[ast.expr]) -> list[ast.Subscript]:
    return [one for one in values if isinstance(one, ast.Subscript)]


def _named(block: list[ast.stmt]) -> Iterator[ast.Subscript]:
    """The parts to which the statements of a block give names: `xb = x[i : i + n]`, `xb, yb = x[i], y[i]`."""
    for statement in block:
        if isinstance(statement, ast.Assign):
            target, value = statement.targets[0], statement.value
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                yield from _parts(value.elts)
            elif isinstance(target, ast.Name):
                yield from _parts([value])

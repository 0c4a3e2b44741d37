"""Which names of a loop stand for the items of what is looped over."""

from __future__ import annotations

import ast

from inplace.facts.model import Position
from inplace.facts.source_code import node_position

_PIECES = frozenset({"unbind", "split", "chunk", "tensor_split"})


def items_given(target: ast.expr, given: ast.expr, position: Position) -> list[ast.expr]:
    """The targets of a loop that stand for the items of what a range gives out, which is looped over or enumerated."""
    if node_position(given) == position:
        return [target]
    if not isinstance(given, ast.Call):
        return []
    if isinstance(given.func, ast.Attribute) and given.func.attr in _PIECES:
        return items_given(target, given.func.value, position)
    name, parts = ast.unparse(given.func), target.elts if isinstance(target, ast.Tuple) else []
    if name == "enumerate" and len(parts) == 2 and given.args:  # noqa: PLR2004  # the number and the item
        return items_given(parts[1], given.args[0], position)
    if name == "zip" and len(parts) == len(given.args):
        pairs = zip(parts, given.args, strict=True)
        return [found for part, one in pairs for found in items_given(part, one, position)]
    return []

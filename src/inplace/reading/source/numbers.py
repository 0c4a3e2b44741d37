"""What the source gives a number: variables, attributes and parameters by which a tensor is multiplied, say."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

_Given = tuple[ast.expr | ast.arg, ast.expr | None]
_PASSES = 4  # names that are given another's number, one after the other
_MAKING = frozenset({"float", "int", "len"})
_TELLING = frozenset({"item", "numel", "dim", "size", "ndimension"})
_TYPES = frozenset({"float", "int"})


def names_of_numbers(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """The names, as they are written, that the nodes of a source give a number somewhere, or say they are of one."""
    given: list[tuple[str, ast.expr | None]] = []
    found: set[str] = set()
    for node in nodes:
        given += [(_text(target), value) for target, value in _given_by(node)]
        found.update(_declared(node))
    for _ in range(_PASSES):
        more = {name for name, value in given if name not in found and value is not None and is_number(value, found)}
        if not more:
            break
        found |= more
    return frozenset(found)


def is_number(value: ast.expr, names: Iterable[str] = ()) -> bool:
    """Whether an expression is a number by what is written there, where some names are."""
    if isinstance(value, ast.Constant):
        return type(value.value) in {int, float, complex}
    if isinstance(value, ast.UnaryOp):
        return is_number(value.operand, names)
    if isinstance(value, ast.BinOp):
        return is_number(value.left, names) and is_number(value.right, names)
    if isinstance(value, ast.IfExp):
        return is_number(value.body, names) and is_number(value.orelse, names)
    if isinstance(value, ast.Call):
        return _gives_number(value)
    if isinstance(value, ast.Subscript):
        return isinstance(value.value, ast.Attribute) and value.value.attr == "shape"
    return isinstance(value, ast.Name | ast.Attribute) and (_is_of_math(value) or ast.unparse(value) in names)


def _gives_number(call: ast.Call) -> bool:
    """Whether a call gives out a number: `float(s)`, `math.sqrt(d)`, `loss.item()`, `x.size(0)`."""
    if isinstance(call.func, ast.Name):
        return call.func.id in _MAKING
    if not isinstance(call.func, ast.Attribute):
        return False
    return _is_of_math(call.func) or (call.func.attr in _TELLING and (call.func.attr != "size" or bool(call.args)))


def _is_of_math(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "math"


def _given_by(node: ast.AST) -> Iterator[_Given]:
    """What an assignment, or a parameter with a default, gives to what."""
    if isinstance(node, ast.Assign):
        yield from pairs_of(node)
    elif isinstance(node, ast.AnnAssign):
        yield node.target, node.value
    elif isinstance(node, ast.arguments):
        plain = [*node.posonlyargs, *node.args]
        yield from zip(plain[len(plain) - len(node.defaults) :], node.defaults, strict=True)
        yield from zip(node.kwonlyargs, node.kw_defaults, strict=True)


def _declared(node: ast.AST) -> Iterator[str]:
    """The names that are said to be numbers (`scale: float`), or count something (`for i in range(n)`)."""
    if isinstance(node, ast.arg | ast.AnnAssign):
        if isinstance(node.annotation, ast.Name) and node.annotation.id in _TYPES:
            yield _text(node if isinstance(node, ast.arg) else node.target)
    elif isinstance(node, ast.For | ast.comprehension) and isinstance(node.iter, ast.Call):
        by = node.iter.func.id if isinstance(node.iter.func, ast.Name) else None
        target: ast.expr | None = node.target if by == "range" else None
        if by == "enumerate" and isinstance(node.target, ast.Tuple):
            target = node.target.elts[0]
        if isinstance(target, ast.Name):
            yield target.id


def pairs_of(node: ast.Assign) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The targets of an assignment with what each gets, where that is written side by side."""
    for target in node.targets:
        parts = ast.Tuple | ast.List
        if isinstance(target, parts) and isinstance(node.value, parts) and len(target.elts) == len(node.value.elts):
            yield from zip(target.elts, node.value.elts, strict=True)
        else:
            yield target, node.value


def _text(one: ast.expr | ast.arg) -> str:
    return one.arg if isinstance(one, ast.arg) else ast.unparse(one)

"""How the arguments of calls were spelled: the expression that stood for each tensor at the call, by its position."""

from __future__ import annotations

import ast

from inplace.facts.model import Call, Function, Stack
from inplace.facts.source_code import node_position
from inplace.reading.code import Code
from inplace.reading.history import SET_ITEM
from inplace.reading.places import Places

_METHODS = "torch.Tensor."
_REVERSED = frozenset({"rsub", "__rsub__", "__rtruediv__", "__rdiv__", "__rpow__", "__rmatmul__"})


class Spelled:
    """The expressions of one trace's arguments; each line is looked at once for each function."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._known: dict[tuple[int, Function], dict[str, ast.expr]] = {}

    def of(self, call: Call) -> dict[str, ast.expr]:
        """The expression of each argument, by its path; none of a call that a library made."""
        return self.at(call.stack, call.function)

    def at(self, stack: Stack, function: Function) -> dict[str, ast.expr]:
        """The same by the stack and the function."""
        if not stack.frames or not _is_own(stack.frames[0].entry, function):
            return {}
        key = stack.frames[0].site, function
        found = self._known.get(key)
        if found is None:
            site = self._places.site(stack.frames[0])
            code = self._places.codes[site.source]
            node = code.source_code.node(site.position)
            found = self._known[key] = {} if node is None else _arguments(code, node, function)
        return found

    def text(self, call: Call, path: str) -> str | None:
        """The text of one argument as Python would write it: `self.best['w']`; None where it is not known."""
        root, bracket, rest = path.partition("[")
        node = self.of(call).get(root)
        if node is None:
            return None
        if bracket and isinstance(node, ast.List | ast.Tuple) and rest[:-1].isdigit():
            number = int(rest[:-1])
            return ast.unparse(node.elts[number]) if number < len(node.elts) else None
        return ast.unparse(node) + bracket + rest


def _is_own(entry: str | None, function: Function) -> bool:
    """Whether the line called a function itself: some methods of tensors are written in Python (`Tensor.norm`)."""
    return entry is None or entry == f"Tensor.{function.label}"


def _arguments(code: Code, node: ast.expr | ast.stmt, function: Function) -> dict[str, ast.expr]:
    if isinstance(node, ast.Call):
        return _of_call(node, function)
    if isinstance(node, ast.BinOp):
        sides = (node.right, node.left) if function.label in _REVERSED else (node.left, node.right)
        return dict(zip("01", sides, strict=True))
    if isinstance(node, ast.AugAssign):
        return {"0": node.target, "1": node.value}
    if isinstance(node, ast.Compare):
        return {"0": node.left, "1": node.comparators[0]}
    if isinstance(node, ast.UnaryOp):
        return {"0": node.operand}
    if isinstance(node, ast.Attribute):
        return {"0": node.value}
    if isinstance(node, ast.Subscript):
        found = {"0": node.value}
        statement = code.statement(node_position(node)) if function.label == SET_ITEM else None
        if isinstance(statement, ast.Assign):
            found["2"] = statement.value
        return found
    return {}


def _of_call(node: ast.Call, function: Function) -> dict[str, ast.expr]:
    given = node.args
    if function.name.startswith(_METHODS) and isinstance(node.func, ast.Attribute) and _is_method(node.func):
        given = [node.func.value, *given]
    found: dict[str, ast.expr] = {}
    for number, one in enumerate(given):
        if isinstance(one, ast.Starred):
            break
        found[str(number)] = one
    found.update({keyword.arg: keyword.value for keyword in node.keywords if keyword.arg is not None})
    return found


def _is_method(function: ast.Attribute) -> bool:
    """Whether what is called is an attribute of a value, as against a function of a module (`torch.add`)."""
    return not (isinstance(function.value, ast.Name) and function.value.id in {"torch", "F", "nn"})


def is_path(node: ast.expr) -> bool:
    """Whether an expression is a variable, or leads from one through attributes and items only."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return isinstance(node, ast.Name)

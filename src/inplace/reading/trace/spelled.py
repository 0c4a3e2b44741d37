"""How the arguments of calls were spelled: the expression that stood for each tensor at the call, by its position.

NOTE [ A number first ]
`lr * g` calls the function of `g * lr`, with the tensor as its first argument, and nothing in the call tells the two
apart. So where only one of the two is a tensor, the source is asked which: a number, or a name that is given one
somewhere, is none; a gradient, or a call of PyTorch's, is one, and so is what the tensor is known as. Where nothing
tells two names apart, neither is taken for it; else it is the left.
"""

from __future__ import annotations

import ast
from collections.abc import Collection

from inplace.facts.called import given_to, method_called
from inplace.facts.model import Call, Function
from inplace.facts.source_code import node_position
from inplace.reading.source.code import Code
from inplace.reading.source.numbers import is_number
from inplace.reading.trace.history import SET_ITEM, History
from inplace.reading.trace.names import Names
from inplace.reading.trace.places import Places

_METHODS = "torch.Tensor."
_EITHER_WAY = frozenset({"add", "mul"})
_REVERSED = frozenset({"rsub", "__rsub__", "__rtruediv__", "__rdiv__", "__rpow__", "__rmatmul__"})


class Spelled:
    """The expressions of one trace's arguments; each line is looked at once for each function."""

    def __init__(self, history: History, places: Places, names: Names) -> None:
        self._history, self._places, self._names = history, places, names
        self._known: dict[tuple[int, Function, bool], dict[str, ast.expr]] = {}

    def of(self, call: Call) -> dict[str, ast.expr]:
        """The expression of each argument, by its path; none of a call that a library made."""
        stack, function = call.stack, call.function
        if not stack.frames or not _is_own(stack.frames[0].entry, function):
            return {}
        key = stack.frames[0].site, function, len(call.inputs) == 1
        found = self._known.get(key)
        if found is None:
            site = self._places.site(stack.frames[0])
            code = self._places.codes[site.source]
            node = code.source_code.node(site.position)
            alone = self._names_of(call) if key[2] else None
            found = self._known[key] = {} if node is None else _arguments(code, node, function, alone)
        return found

    def _names_of(self, call: Call) -> list[str]:
        """What the first argument of a call is known as."""
        return self._names.of(self._history.tensors_by_state[call.inputs[0].before])

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


def _arguments(
    code: Code, node: ast.expr | ast.stmt, function: Function, alone: Collection[str] | None
) -> dict[str, ast.expr]:
    """The expressions of a call's arguments; `alone` are the names of the only one that is a tensor."""
    if isinstance(node, ast.Call):
        return _of_call(node, function)
    if isinstance(node, ast.BinOp):
        is_reversed = function.label in _REVERSED
        if alone is not None and function.label in _EITHER_WAY:
            side = _tensor_side(code, node, alone)
            if side is None:
                return {}
            is_reversed = side == 1
        sides = (node.right, node.left) if is_reversed else (node.left, node.right)
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


def _tensor_side(code: Code, node: ast.BinOp, names: Collection[str]) -> int | None:
    """Which operand is the tensor, 0 or 1; None where nothing tells. See NOTE [ A number first ]."""
    sides = node.left, node.right
    numbers, tensors = [is_number(one, code.numbers) for one in sides], [_is_tensor(one) for one in sides]
    if numbers[0] != numbers[1]:
        return int(numbers[0])
    if tensors[0] != tensors[1]:
        return int(tensors[1])
    called = [ast.unparse(one) in names for one in sides]
    if called[0] != called[1]:
        return int(called[1])
    return None if all(is_path(one) for one in sides) else 0


def _is_tensor(node: ast.expr) -> bool:
    """Whether an expression is a tensor by its form: a gradient, or what a function of PyTorch's gives out."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return not _is_method(node.func)
    return isinstance(node, ast.Attribute) and node.attr in {"grad", "data"}


def _of_call(node: ast.Call, function: Function) -> dict[str, ast.expr]:
    is_method = function.name.startswith(_METHODS) or isinstance(node.func, ast.Call)
    given = given_to(node) if is_method else node.args
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


def chained_from(node: ast.expr) -> ast.expr:
    """What a chain of calls in place begins with, which is what each of them gives back: `b` of `b.mul_(2).add_(g)`."""
    while isinstance(node, ast.Call) and method_called(node).endswith("_") and given_to(node):
        node = given_to(node)[0]
    return node

"""What a call does, however it is spelled: a method, `torch.Tensor.add_(x, y)`, `getattr`, `operator`, a partial."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from inplace.facts.source_code import called_name

MODULES = frozenset({"torch", "F", "nn", "functional", "init", "np", "numpy", "math"})
"""By what modules are called whose functions take and give tensors, arrays and numbers."""
_NO_RECEIVERS = MODULES | {"Tensor", "operator", "functools"}
_OPERATORS = {
    **{name: f"__{name}__" for name in ("setitem", "getitem")},
    **{f"i{name}": f"__i{name}__" for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")},
    **{f"i{name}": f"__i{name}__" for name in ("and", "or", "xor", "lshift", "rshift")},
}
_SETTING_ITEM = "__setitem__"
_THREE = 3  # arguments of a call that assigns an item, and of the longest slice


@dataclass(frozen=True, slots=True)
class ItemWrite:
    """What an item assignment writes to, at which index, and what: `x`, `i`, `v` of `x[i] = v`."""

    held: ast.expr
    index: ast.expr
    value: ast.expr

    @property
    def parts(self) -> list[ast.expr]:
        """The index of each dimension as an index has it: `1:` of `slice(1, None)`."""
        return [_as_part(one) for one in (self.index.elts if isinstance(self.index, ast.Tuple) else [self.index])]


def given_to(call: ast.Call) -> list[ast.expr]:
    """What a call gives to the function that runs by position, what a method is called on first."""
    return _resolved(call)[1]


def method_called(call: ast.Call) -> str:
    """The name of what runs: `add_` of `getattr(x, "add_")(y)`, `__setitem__` of `operator.setitem(x, 0, y)`."""
    return _resolved(call)[0]


def item_write(node: ast.AST | None) -> ItemWrite | None:
    """The one item that a statement or call assigns: `x[i] = v`, `x.__setitem__(i, v)`, `operator.setitem(x, i, v)`."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Subscript):
        return ItemWrite(node.targets[0].value, node.targets[0].slice, node.value)
    call = node.value if isinstance(node, ast.Expr) else node
    if not isinstance(call, ast.Call):
        return None
    name, given = _resolved(call)
    if name != _SETTING_ITEM or len(given) != _THREE or any(isinstance(one, ast.Starred) for one in given):
        return None
    return ItemWrite(*given)


def writes_by_name(call: ast.Call) -> bool:
    """Whether a call is of a function that writes in place by its name: `add_`, `__iadd__`, `__setitem__`."""
    name = method_called(call)
    if name.startswith("_"):
        return name in _OPERATORS.values() and name != "__getitem__"
    return name.endswith("_")


def _resolved(call: ast.Call) -> tuple[str, list[ast.expr]]:
    function, given = call.func, call.args
    if isinstance(function, ast.Call):
        return _of_made(function, given)
    name = called_name(call)
    if isinstance(function, ast.Name):
        return _OPERATORS.get(name, name), given
    if not isinstance(function, ast.Attribute):
        return name, given
    root: ast.expr = function.value
    while isinstance(root, ast.Attribute):
        root = root.value
    if not isinstance(root, ast.Name) or root.id not in _NO_RECEIVERS:
        return name, [function.value, *given]
    return _OPERATORS.get(name, name) if root.id == "operator" else name, given


def _of_made(maker: ast.Call, given: list[ast.expr]) -> tuple[str, list[ast.expr]]:
    """The same of a function that another call gives out: `getattr(x, "add_")`, `partial(f, x)`, `methodcaller`."""
    name, taken = called_name(maker), maker.args
    first, rest = (taken[0], taken[1:]) if taken else (None, [])
    if name == "getattr" and first is not None and rest:
        method = rest[0]
        return (str(method.value) if isinstance(method, ast.Constant) else ""), [first, *given]
    if name == "partial" and first is not None:
        return _resolved(ast.Call(func=first, args=[*rest, *given], keywords=[]))
    if name == "methodcaller" and isinstance(first, ast.Constant) and given:
        return str(first.value), [given[0], *rest]
    if name == "itemgetter" and first is not None and not rest and given:
        return "__getitem__", [given[0], first]
    return "", given


def _as_part(node: ast.expr) -> ast.expr:
    if not isinstance(node, ast.Call) or called_name(node) != "slice" or not 0 < len(node.args) <= _THREE:
        return node
    ends = [None if isinstance(one, ast.Constant) and one.value is None else one for one in node.args]
    lower, upper, step = (None, ends[0], None) if len(ends) == 1 else (*ends, None)[:_THREE]
    return ast.copy_location(ast.Slice(lower=lower, upper=upper, step=step), node)

"""Methods called through the class, `torch.Tensor.mul_(h, 2)`: their receiver is the first argument, not the class."""

from __future__ import annotations

import ast
from collections import Counter
from typing import TypeGuard

_SEVERAL = frozenset({"unbind", "split", "chunk", "tensor_split", "hsplit", "vsplit", "dsplit", "split_with_sizes"})


def lacks_receiver(old: str, new: str) -> bool:
    """Whether a change calls a method of the class without a tensor (`torch.Tensor.detach()`)."""
    before, after = (sum(not call.args for call in _unbound(text)) for text in (old, new))
    return after > before


def keeps_receivers(old: str, new: str) -> bool:
    """Whether a change took no class for a tensor: each such call is as it was, or is another one of the same tensors.

    What several such calls in one another do is not followed, nor is a method of the tuple that one gives out.
    """
    before, after = (Counter(map(ast.dump, found)) for found in (_unbound(old), _unbound(new)))
    gone = [call for call in _unbound(old) if before[ast.dump(call)] > after[ast.dump(call)]]
    come = {_arguments(call) for call in _unbound(new) if after[ast.dump(call)] > before[ast.dump(call)]}
    if any(_arguments(call) not in come or any(map(_unbound_in, call.args)) for call in gone):
        return False
    items = {ast.unparse(call.args[0].value) for call in _unbound(old) if call.args and _is_item(call.args[0])}
    cloned = [Counter(filter(items.__contains__, _cloned(text))) for text in (old, new)]
    if cloned[1] - cloned[0]:
        return False  # of what holds the tensors, maybe a tuple
    several = [sum(map(_is_of_several, _calls(ast.parse(text)))) for text in (old, new)]
    return several[1] <= several[0]


def _calls(tree: ast.AST) -> list[ast.Call]:
    return [one for one in ast.walk(tree) if isinstance(one, ast.Call)]


def _method(call: ast.Call) -> str | None:
    """The method that a call takes from a class of tensors."""
    held = call.func.value if isinstance(call.func, ast.Attribute) else None
    name = held.attr if isinstance(held, ast.Attribute) else held.id if isinstance(held, ast.Name) else ""
    is_class = name[:1].isupper() and name.endswith(("Tensor", "Parameter"))
    return call.func.attr if is_class and isinstance(call.func, ast.Attribute) else None


def _unbound(text: str) -> list[ast.Call]:
    return _unbound_in(ast.parse(text))


def _unbound_in(tree: ast.AST) -> list[ast.Call]:
    return [call for call in _calls(tree) if _method(call) is not None]


def _arguments(call: ast.Call) -> str:
    return " ".join(map(ast.dump, [*call.args, *(one.value for one in call.keywords)]))


def _is_item(node: ast.expr) -> TypeGuard[ast.Subscript]:
    return isinstance(node, ast.Subscript)


def _cloned(text: str) -> list[str]:
    """What the calls of `clone()` are made of."""
    made = [call.func for call in _calls(ast.parse(text)) if isinstance(call.func, ast.Attribute)]
    return [ast.unparse(one.value) for one in made if one.attr == "clone"]


def _is_of_several(call: ast.Call) -> bool:
    held = call.func.value if isinstance(call.func, ast.Attribute) else None
    return isinstance(held, ast.Call) and _method(held) in _SEVERAL

"""In-place calls of the user's source in their out-of-place forms."""

from __future__ import annotations

import ast

MADE_LIKE = {"fill_": "full_like", "zero_": "zeros_like"}
"""In-place methods without a method out of place, and the functions of `torch` that make such a tensor."""


def out_of_place_form(text: str) -> str | None:
    """The out-of-place form of an in-place call, as an assignment; None where the text is none that has a simple one.

    `h.relu_()` becomes `h = h.relu()`, `out += x` becomes `out = out + x`.
    """
    try:
        body = ast.parse(text.strip()).body
    except SyntaxError:
        return None
    if len(body) != 1:
        return None
    statement = body[0]
    if isinstance(statement, ast.AugAssign):
        expression = ast.BinOp(ast.Name(ast.unparse(statement.target)), statement.op, statement.value)
        return f"{ast.unparse(statement.target)} = {ast.unparse(expression)}"
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return _call(statement.value)
    return None


def _call(call: ast.Call) -> str | None:
    function = call.func
    if not isinstance(function, ast.Attribute) or not function.attr.endswith("_") or function.attr.startswith("__"):
        return None
    if not isinstance(function.value, ast.Name | ast.Attribute):
        return None
    holder = ast.unparse(function.value)
    if function.attr in MADE_LIKE:
        made = ast.Call(ast.Name(f"torch.{MADE_LIKE[function.attr]}"), [function.value, *call.args], call.keywords)
        return f"{holder} = {ast.unparse(made)}"
    plain = ast.Call(ast.Attribute(function.value, function.attr.rstrip("_")), call.args, call.keywords)
    return f"{holder} = {ast.unparse(plain)}"

"""The ways to change a statement that wrote so that the write does no harm, each a list of edits of its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from inplace.fixes.editing import Edit, Editor, end_of, start_of
from inplace.fixes.statement import MODULES, Statement

_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
    ast.MatMult: "@",
    ast.Mod: "%",
    ast.FloorDiv: "//",
}
_NO_TWIN = {"fill_": "full_like", "zero_": "zeros_like"}  # there is no `Tensor.fill` and no `Tensor.zero`
_IN_PLACE_ONLY = frozenset(
    [
        "copy_",
        "normal_",
        "uniform_",
        "random_",
        "exponential_",
        "geometric_",
        "cauchy_",
        "log_normal_",
        "fill_diagonal_",
        "resize_",
        "set_",
    ]
)
_CUTTING = frozenset({"detach", "item", "numpy", "cpu", "tolist", "clone"})
_FLAGS = {  # where functions and modules take `inplace` without its name
    **dict.fromkeys(["ReLU", "ReLU6", "SiLU", "Mish", "SELU", "Hardswish", "Hardsigmoid"], 0),
    **dict.fromkeys(["relu", "relu6", "silu", "mish", "selu", "LeakyReLU", "ELU", "CELU", "Dropout", "Dropout2d"], 1),
    **dict.fromkeys(["leaky_relu", "elu", "celu"], 2),
    "dropout": 3,
}

Edits = list[Edit]


# ---------------------------------------------------------------- out of place


def out_of_place(site: Statement) -> Iterator[Edits]:
    """`h.relu_()` -> `h = h.relu()`, `h += x` -> `h = h + x`, `torch.relu_(h)`, `F.relu(h, inplace=True)`, `out=h`."""
    statement, node, editor = site.statement, site.node, site.editor
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name | ast.Attribute):
        if not site.may_rebind(editor.text_of(statement.target)):
            return
        operator = _OPERATORS.get(type(statement.op))
        if operator is not None:
            target, value = editor.text_of(statement.target), _operand(editor, statement.value)
            text = f"{target} = {target} {operator} {value}"
            yield [Edit(start_of(statement), end_of(statement), text)]
    if not isinstance(node, ast.Call):
        return
    function = node.func
    edits = _flag_off(node)
    written: ast.expr | None = node.args[0] if node.args else None
    out = _without_out(node)
    if out is not None:
        written, edits = out
    if isinstance(function, ast.Attribute) and function.attr.endswith("_") and not function.attr.startswith("__"):
        is_module = isinstance(function.value, ast.Name) and function.value.id in MODULES
        written = written if is_module else function.value
        if function.attr in _NO_TWIN:
            edits = _made_like(editor, node, function)
        elif function.attr in _IN_PLACE_ONLY:
            at = end_of(function.value)
            edits = [Edit(at, at, ".clone()")]
        else:
            line, column = end_of(function)
            edits = [Edit((line, column - 1), (line, column), "")]
    if not edits:
        return
    if isinstance(statement, ast.Expr) and statement.value is not None and written is not None:
        holder = _innermost_receiver(written)
        if not isinstance(holder, ast.Name | ast.Attribute) or not site.may_rebind(editor.text_of(holder)):
            return
        edits = [Edit(start_of(statement), start_of(statement), f"{editor.text_of(holder)} = "), *edits]
    yield edits


def _made_like(editor: Editor, call: ast.Call, function: ast.Attribute) -> Edits:
    arguments = ", ".join(editor.text_of(one) for one in (function.value, *call.args))
    return [Edit(start_of(call), end_of(call), f"torch.{_NO_TWIN[function.attr]}({arguments})")]


def _innermost_receiver(node: ast.expr) -> ast.expr:
    """`h` of `h.add_(1).mul_(2)`."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        node = node.func.value
    return node


def _flag_off(call: ast.Call) -> Edits:
    flags = [keyword.value for keyword in call.keywords if keyword.arg == "inplace"]
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    flags += call.args[_FLAGS[name] : _FLAGS[name] + 1] if name in _FLAGS else []
    return [
        Edit(start_of(flag), end_of(flag), "False")
        for flag in flags
        if isinstance(flag, ast.Constant) and flag.value is True
    ]


def _without_out(call: ast.Call) -> tuple[ast.expr, Edits] | None:
    """What `out=` names, and the change that takes the argument away."""
    out = next((keyword for keyword in call.keywords if keyword.arg == "out"), None)
    if out is None:
        return None
    others = [(start_of(one), end_of(one)) for one in [*call.args, *(key.value for key in call.keywords)]]
    before = [end for start, end in others if start < start_of(out.value)]
    if not before:
        return None
    return out.value, [Edit(max(before), end_of(out.value), "")]


def no_flag(site: Statement) -> Iterator[Edits]:
    """A module built with `inplace=True` wrote: build it without."""
    edits = [
        edit
        for node in ast.walk(site.editor.tree)
        if isinstance(node, ast.Call) and node is not site.node
        for edit in _flag_off(node)
    ]
    if edits:
        yield edits


def _operand(editor: Editor, value: ast.expr) -> str:
    text = editor.text_of(value)
    simple = isinstance(value, ast.Name | ast.Attribute | ast.Call | ast.Constant | ast.Subscript)
    return text if simple or text.startswith("(") else f"({text})"


# ---------------------------------------------------------------- clones


def clone_before(site: Statement) -> Iterator[Edits]:
    """`h = h.clone()` on the line before the write: a tensor of its own, so that the save keeps its bytes."""
    name = site.written_name()
    if name is not None and site.may_rebind(name) and not site.is_step:
        copied = "copy" if ".numpy(" in name else "clone"
        at = start_of(site.statement)
        yield [Edit(at, at, f"{name} = {name}.{copied}()\n{site.editor.indent_of(site.statement)}")]


def clone_value(site: Statement) -> Iterator[Edits]:
    """`x[1:] = x[:-1]` -> `x[1:] = x[:-1].clone()`: what is read is copied before anything is written."""
    statement, node, editor = site.statement, site.node, site.editor
    value: ast.expr | None = statement.value if isinstance(statement, ast.Assign | ast.AugAssign) else None
    if value is None and isinstance(node, ast.Call):
        value = next((one for one in node.args if not isinstance(one, ast.Constant)), None)
    if value is not None:
        yield [cloned(editor, value)]


def clone_where_saved(site: Statement, names: Sequence[str], *, result: bool) -> Iterator[Edits]:
    """`attn = scores.softmax(-1).clone()`, `a * b.clone()`: what is written later is not what was saved."""
    node, editor = site.node, site.editor
    if isinstance(node, ast.Call):
        function = node.func
        parts = [*node.args, *([function.value] if isinstance(function, ast.Attribute) else [])]
    elif isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    else:
        return
    for part in [node] if result else [one for one in parts if editor.text_of(one).partition("[")[0] in names]:
        yield [cloned(editor, part)]


def clone_where_made(site: Statement) -> Iterator[Edits]:
    """`x, y = [one.clone() for one in t.unbind()]`, `t.expand(3, 4).clone()`: no view, so it may be written to."""
    node, editor = site.node, site.editor
    if not isinstance(node, ast.Call):
        return
    text = editor.text_of(node)
    target = site.statement.targets[0] if isinstance(site.statement, ast.Assign) else None
    if (
        isinstance(target, ast.Tuple | ast.List)
        and isinstance(site.statement, ast.Assign)
        and site.statement.value is node
    ):
        yield [Edit(start_of(node), end_of(node), f"[one.clone() for one in {text}]")]
    else:
        yield [cloned(editor, node)]


def cloned(editor: Editor, node: ast.expr) -> Edit:
    """An expression becomes a copy of its value."""
    return Edit(start_of(node), end_of(node), f"{_operand(editor, node)}.clone()")


# ---------------------------------------------------------------- other orders, other modes


def behind_backward(site: Statement) -> Iterator[Edits]:
    """A write that comes between forward and backward goes behind the backward, in the same block."""
    editor = site.editor
    if isinstance(site.statement, ast.Assign) and isinstance(site.statement.targets[0], ast.Name | ast.Tuple):
        return  # what it assigns may be needed before
    statement, statements = site.enclosing()
    for later in statements[statements.index(statement) + 1 :]:
        if isinstance(later, ast.Expr | ast.Assign) and "backward(" in editor.text_of(later) and editor.is_alone(later):
            end, last = end_of(later), end_of(statement)[0]
            yield [
                Edit((statement.lineno, 0), (last + 1, 0), ""),
                Edit(end, end, f"\n{editor.lines(statement.lineno, last)}"),
            ]
            return


def without_grad(site: Statement) -> Iterator[Edits]:
    """The update of a leaf goes under `torch.no_grad()`."""
    statement, editor = site.statement, site.editor
    if isinstance(statement, ast.Assign | ast.Return) and isinstance(site.node, ast.Call):
        yield from out_of_place(site)  # its result is used, so it is a step of the forward and not an update
        yield from no_flag(site)
        return
    text = editor.text_of(statement)
    if "\n" not in text:
        yield [
            Edit(
                start_of(statement),
                end_of(statement),
                f"with torch.no_grad():\n{editor.indent_of(statement)}    {text}",
            )
        ]
    name = site.written_name()
    if name is not None:
        at = start_of(statement)
        yield [Edit(at, at, f"{name} = {name}.detach()\n{editor.indent_of(statement)}")]
    yield from out_of_place(site)


def update_leaf(site: Statement) -> Iterator[Edits]:
    """`x = x + y` -> `x += y` under `torch.no_grad()`; else the result becomes a leaf of its own."""
    statement, editor = site.statement, site.editor
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return
    target, value = statement.targets[0], statement.value
    operator = _OPERATORS.get(type(value.op)) if isinstance(value, ast.BinOp) else None
    if isinstance(value, ast.BinOp) and operator and ast.unparse(value.left) == ast.unparse(target):
        update = f"{editor.text_of(target)} {operator}= {editor.text_of(value.right)}"
        text = f"with torch.no_grad():\n{editor.indent_of(statement)}    {update}"
        yield [Edit(start_of(statement), end_of(statement), text)]
    yield [Edit(start_of(value), end_of(value), f"({editor.text_of(value)}).detach().requires_grad_()")]


def uncut(site: Statement) -> Iterator[Edits]:
    """`loss.detach()` -> `loss`, `torch.tensor(t)` -> `t`, `torch.tensor(losses)` -> `torch.stack(losses)`."""
    node, editor = site.node, site.editor
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in _CUTTING and not node.args:
            yield [Edit(start_of(node), end_of(node), editor.text_of(node.func.value))]
        elif node.func.attr in {"tensor", "as_tensor", "from_numpy"} and len(node.args) == 1:
            yield [Edit(start_of(node), end_of(node), _operand(editor, node.args[0]))]
            yield [Edit(start_of(node), end_of(node), f"torch.stack({editor.text_of(node.args[0])})")]
    elif isinstance(node, ast.Attribute) and node.attr == "data":
        yield [Edit(start_of(node), end_of(node), editor.text_of(node.value))]


def with_grad(site: Statement) -> Iterator[Edits]:
    """A statement under `no_grad` that a gradient has to flow through goes under `torch.enable_grad()`."""
    statement, editor = site.statement, site.editor
    text = editor.text_of(statement)
    if "\n" not in text:
        block = f"with torch.enable_grad():\n{editor.indent_of(statement)}    {text}"
        yield [Edit(start_of(statement), end_of(statement), block)]

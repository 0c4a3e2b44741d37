"""The ways to change a statement that wrote so that the write does no harm, each a list of edits of its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from inplace.checks.thrift import TWINS
from inplace.facts.model import Position
from inplace.facts.source_code import SourceCode, called_name, node_position
from inplace.fixes.editing import Edit, behind, in_front_of, in_place_of
from inplace.fixes.statement import Statement, is_module
from inplace.reading.source.forms import MADE_LIKE

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
IN_PLACE: dict[type[ast.operator], str] = {ast.Add: "add_", ast.Sub: "sub_", ast.Mult: "mul_", ast.Div: "div_"}
"""The in-place methods that do what operators do."""
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
        "bernoulli_",
        "apply_",
        "map_",
        "fill_diagonal_",
        "resize_",
        "set_",
    ]
)
# More functions with a twin `name_` of the same values, beside those that advice knows (`torch/_torch_docs.py`).
_MORE_TWINS = frozenset(
    [
        *("t", "transpose", "swapaxes", "swapdims", "squeeze", "unsqueeze", "detach"),
        *("addmm", "addmv", "addr", "baddbmm", "addbmm", "renorm", "atan2", "arctan2", "copysign", "float_power"),
        *("index_copy", "index_put", "index_reduce", "scatter_reduce", "put", "cumsum", "cumprod", "lerp"),
        *("subtract", "multiply", "divide", "true_divide", "floor_divide", "negative", "absolute", "clip", "fix"),
        *("logical_not", "bitwise_not", "logical_and", "logical_or", "bitwise_and", "bitwise_or", "bitwise_xor"),
        *("elu", "selu", "celu", "leaky_relu", "threshold", "rrelu", "hardtanh", "softmax"),
    ]
)
_BINDS_TIGHTEST = (  # what Python's grammar calls primaries and atoms, which need no brackets
    *(ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.Constant, ast.JoinedStr),
    *(ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp),
)
_FLAGS = {  # where functions and modules take `inplace` without its name
    **dict.fromkeys(["ReLU", "ReLU6", "SiLU", "Mish", "SELU", "Hardswish", "Hardsigmoid"], 0),
    **dict.fromkeys(["relu", "relu6", "silu", "mish", "selu", "LeakyReLU", "ELU", "CELU", "Dropout", "Dropout2d"], 1),
    **dict.fromkeys(["leaky_relu", "elu", "celu"], 2),
    "dropout": 3,
}

Edits = list[Edit]


def operator_of(operator: ast.operator) -> str | None:
    """The sign of an operator that tensors have; None for others."""
    return _OPERATORS.get(type(operator))


def has_twin(method: str) -> bool:
    """Whether an in-place method, `relu_`, has a twin of the same values out of place."""
    return method.endswith("_") and method[:-1] in TWINS | _MORE_TWINS


# ---------------------------------------------------------------- out of place


def out_of_place(site: Statement) -> Iterator[Edits]:
    """`h.relu_()` -> `h = h.relu()`, `h += x` -> `h = h + x`, `torch.relu_(h)`, `F.relu(h, inplace=True)`, `out=h`."""
    statement, node, source = site.statement, site.node, site.source_code
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name | ast.Attribute):
        operator = _OPERATORS.get(type(statement.op))
        if operator is not None:
            target, value = source.text_of(statement.target), operand(source, statement.value)
            text = f"{target} = {target} {operator} {value}"
            yield [in_place_of(statement, text)]
    if not isinstance(node, ast.Call):
        return
    function = node.func
    edits = _flag_off(node)
    written: ast.expr | None = node.args[0] if node.args else None
    out = without_out(node)
    if out is not None:
        written, edits = out
    if isinstance(function, ast.Attribute) and function.attr.endswith("_") and not function.attr.startswith("__"):
        written = written if is_module(function.value) else function.value
        if function.attr in MADE_LIKE:
            edits = _made_like(source, node, function)
        elif function.attr in _IN_PLACE_ONLY:
            edits = [behind(function.value, ".clone()")]
        elif function.attr[:-1] in TWINS | _MORE_TWINS:
            edits = [_without_underscore(link) for link in _links(statement, node)]
    if not edits:
        return
    if isinstance(statement, ast.Expr) and written is not None:
        holder = _innermost_receiver(written)
        if not isinstance(holder, ast.Name | ast.Attribute):
            return
        others = _in_other_branches(source, statement, node, source.text_of(holder))
        if others is None:
            return
        edits = [in_front_of(statement, f"{source.text_of(holder)} = "), *edits, *others]
    yield edits


def _in_other_branches(source: SourceCode, statement: ast.Expr, node: ast.Call, name: str) -> Edits | None:
    """What has to change beside a call whose statement is to be assigned to a name: `b_()` of `a_() if c else b_()`.

    None where the value of the statement is not what the call gives out, or not in all its branches.
    """
    if _is_chain_from(statement.value, node):
        return []
    choice = statement.value
    if not isinstance(choice, ast.IfExp):
        return None
    rest = [one for one in (choice.body, choice.orelse) if not _is_chain_from(one, node)]
    links = [one for one in ast.walk(rest[0]) if isinstance(one, ast.Call)] if len(rest) == 1 else []
    first = next((one for one in reversed(links) if _is_chain_from(rest[0], one) and _writes(source, one, name)), None)
    return None if first is None else [_without_underscore(link) for link in _links(statement, first)]


def _is_chain_from(value: ast.expr, node: ast.expr) -> bool:
    """Whether an expression is a call, or a chain of methods on what it gives out."""
    while value is not node and isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        value = value.func.value
    return value is node


def _writes(source: SourceCode, call: ast.Call, name: str) -> bool:
    """Whether a call is a method in place, which has a twin, on a variable."""
    function = call.func
    is_method = isinstance(function, ast.Attribute) and function.attr[:-1] in TWINS | _MORE_TWINS
    return is_method and isinstance(function, ast.Attribute) and source.text_of(function.value) == name


def _links(statement: ast.stmt, node: ast.Call) -> list[ast.Attribute]:
    """The in-place methods of a chain from one on: what they write to is what the first of them gives out."""
    found = []
    for one in ast.walk(statement):
        link: ast.expr = one if isinstance(one, ast.Call) else node
        inner = link
        while isinstance(inner, ast.Call) and inner is not node and isinstance(inner.func, ast.Attribute):
            inner = inner.func.value if inner.func.attr[:-1] in TWINS | _MORE_TWINS else inner.func
        if (
            isinstance(link, ast.Call)
            and inner is node
            and isinstance(link.func, ast.Attribute)
            and link.func not in found
        ):
            found.append(link.func)
    return [one for one in found if one.attr.endswith("_")]


def _without_underscore(function: ast.Attribute) -> Edit:
    line, column = node_position(function).end
    return Edit(Position(line, column - 1, line, column), "")


def _made_like(source: SourceCode, call: ast.Call, function: ast.Attribute) -> Edits:
    arguments = ", ".join(source.text_of(one) for one in (function.value, *call.args))
    return [in_place_of(call, f"torch.{MADE_LIKE[function.attr]}({arguments})")]


def _innermost_receiver(node: ast.expr) -> ast.expr:
    """`h` of `h.add_(1).mul_(2)`."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        node = node.func.value
    return node


def _flag_off(call: ast.Call) -> Edits:
    flags = [keyword.value for keyword in call.keywords if keyword.arg == "inplace"]
    name = called_name(call)
    flags += call.args[_FLAGS[name] : _FLAGS[name] + 1] if name in _FLAGS else []
    return [in_place_of(flag, "False") for flag in flags if isinstance(flag, ast.Constant) and flag.value is True]


def without_out(call: ast.Call) -> tuple[ast.expr, Edits] | None:
    """What `out=` names, and the change that takes the argument away."""
    out = next((keyword for keyword in call.keywords if keyword.arg == "out"), None)
    if out is None:
        return None
    taken = node_position(out.value)
    others = [node_position(one) for one in [*call.args, *(key.value for key in call.keywords)]]
    before = [one.end for one in others if one.start < taken.start]
    if not before:
        return None
    return out.value, [Edit(Position(*max(before), *taken.end), "")]


def no_flag(site: Statement) -> Iterator[Edits]:
    """A module built with `inplace=True` wrote: build it without."""
    edits = [
        edit
        for node in site.source_code.nodes
        if isinstance(node, ast.Call) and node is not site.node
        for edit in _flag_off(node)
    ]
    if edits:
        yield edits


def operand(source: SourceCode, value: ast.expr) -> str:
    """The text of an expression as it may stand on either side of an operator, or before a dot."""
    text = source.text_of(value)
    return text if isinstance(value, _BINDS_TIGHTEST) else f"({text})"


# ---------------------------------------------------------------- clones


def clone_before(site: Statement) -> Iterator[Edits]:
    """`h = h.clone()` on the line before the write: a tensor of its own, so that the save keeps its bytes."""
    name = site.written_name()
    if name is not None and not site.is_step:
        copied = "copy" if site.is_array(name) else "clone"
        yield [_line_before(site, f"{name} = {name}.{copied}()")]


def _line_before(site: Statement, text: str) -> Edit:
    return in_front_of(site.statement, f"{text}\n{site.source_code.indent_of(site.statement)}")


def put_accumulated(site: Statement, dtype: str) -> Iterator[Edits]:
    """`x[i] += v` -> `x.index_put_((i,), v, accumulate=True)`, which adds once for each time an index comes up."""
    statement, source = site.statement, site.source_code
    if not isinstance(statement, ast.AugAssign) or not isinstance(statement.target, ast.Subscript):
        return
    if not isinstance(statement.op, ast.Add | ast.Sub):
        return
    index = statement.target.slice
    indices = index.elts if isinstance(index, ast.Tuple) else [index]
    if any(isinstance(one, ast.Slice | ast.Constant | ast.Starred) for one in indices):
        return
    told = ", ".join(source.text_of(one) for one in indices) + ("," if len(indices) == 1 else "")
    value = source.text_of(statement.value)
    if isinstance(statement.value, ast.Constant):
        value = f"torch.tensor({value}, dtype=torch.{dtype})"
    if isinstance(statement.op, ast.Sub):
        value = f"-{operand(source, statement.value)}" if value == source.text_of(statement.value) else f"-{value}"
    target = source.text_of(statement.target.value)
    yield [in_place_of(statement, f"{target}.index_put_(({told}), {value}, accumulate=True)")]


def clone_where_saved(site: Statement, names: Sequence[str], *, result: bool) -> Iterator[Edits]:
    """`attn = scores.softmax(-1).clone()`, `a * b.clone()`: what is written later is not what was saved."""
    node, source = site.node, site.source_code
    if isinstance(node, ast.Call):
        function = node.func
        is_method = isinstance(function, ast.Attribute) and not is_module(function.value)
        parts = [*node.args, *([function.value] if is_method and isinstance(function, ast.Attribute) else [])]
    elif isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    else:
        return
    for part in [node] if result else [one for one in parts if source.text_of(one).partition("[")[0] in names]:
        yield [cloned(source, part)]


def clone_where_made(site: Statement) -> Iterator[Edits]:
    """`x, y = [one.clone() for one in t.unbind()]`, `t.expand(3, 4).clone()`: no view, so it may be written to."""
    node, source = site.node, site.source_code
    if not isinstance(node, ast.Call):
        return
    text = source.text_of(node)
    target = site.statement.targets[0] if isinstance(site.statement, ast.Assign) else None
    if (
        isinstance(target, ast.Tuple | ast.List)
        and isinstance(site.statement, ast.Assign)
        and site.statement.value is node
    ):
        yield [in_place_of(node, f"[one.clone() for one in {text}]")]
    else:
        yield [cloned(source, node)]


def cloned(source: SourceCode, node: ast.expr) -> Edit:
    """An expression becomes a copy of its value, as an array or a tensor makes one."""
    is_array = isinstance(node, ast.Call) and called_name(node) == "numpy"
    return in_place_of(node, f"{operand(source, node)}.{'copy' if is_array else 'clone'}()")


# ---------------------------------------------------------------- other orders, other modes


def behind_backward(site: Statement) -> Iterator[Edits]:
    """A write that comes between forward and backward goes behind the backward, in the same block."""
    source = site.source_code
    if isinstance(site.statement, ast.Assign) and isinstance(site.statement.targets[0], ast.Name | ast.Tuple):
        return  # what it assigns may be needed before
    statement, statements = site.enclosing()
    for later in statements[statements.index(statement) + 1 :]:
        if runs_backward(later) and source.is_alone(node_position(later)):
            first, last = statement.lineno, statement.end_lineno or statement.lineno
            moved = "\n".join(source.lines[first - 1 : last])
            yield [Edit(Position(first, 0, last + 1, 0), ""), behind(later, f"\n{moved}")]
            return


def runs_backward(statement: ast.stmt) -> bool:
    """Whether a statement goes backward by itself."""
    return isinstance(statement, ast.Expr | ast.Assign) and any(
        isinstance(one, ast.Call) and called_name(one).endswith("backward") for one in ast.walk(statement)
    )


def under_no_grad(site: Statement) -> list[Edit]:
    """The statement goes under `torch.no_grad()`."""
    return [unrecorded(site, site.source_code.text_of(site.statement))]


def unrecorded(site: Statement, text: str) -> Edit:
    """The statement becomes a block under `torch.no_grad()` with `text` in it."""
    return _under(site, "torch.no_grad()", text)


def updated(site: Statement, *, is_off: bool) -> Iterator[Edits]:
    """`x = x + y` -> `x += y`, under `torch.no_grad()` where gradient mode isn't off already."""
    statement, source = site.statement, site.source_code
    if (
        not isinstance(statement, ast.Assign)
        or len(statement.targets) != 1
        or not isinstance(statement.value, ast.BinOp)
    ):
        return
    target, value = statement.targets[0], statement.value
    operator = _OPERATORS.get(type(value.op))
    if operator and ast.unparse(value.left) == ast.unparse(target):
        update = f"{source.text_of(target)} {operator}= {source.text_of(value.right)}"
        yield [in_place_of(statement, update) if is_off else unrecorded(site, update)]


def without_data(site: Statement) -> Iterator[Edits]:
    """`out.data[:, 0] = y` -> `out[:, 0] = y`: autograd is to know of the write."""
    statement = site.statement
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    while isinstance(target, ast.Subscript):
        target = target.value
        if isinstance(target, ast.Attribute) and target.attr == "data":
            yield [in_place_of(target, site.source_code.text_of(target.value))]
            return


def without_line(site: Statement, position: Position) -> Iterator[Edits]:
    """The line of a decorator goes."""
    source = site.source_code
    if source.line(position.line).lstrip().startswith("@"):
        yield [Edit(Position(position.line, 0, position.line + 1, 0), "")]


def without_statement(site: Statement) -> Edits:
    """A statement goes, with an `if` around it that then has nothing to do; `pass` where its block would be empty."""
    source, statement = site.source_code, site.statement
    *around, _ = source.statements_around(node_position(statement))
    while around and _does_only(around[-1], statement) and source.is_alone(node_position(around[-1])):
        statement = around.pop()
    if len(source.block_of(statement)) == 1:
        return [in_place_of(statement, "pass")]
    position = node_position(statement)
    return [Edit(Position(position.line, 0, position.end_line + 1, 0), "")]


def _does_only(outer: ast.stmt, statement: ast.stmt) -> bool:
    """Whether an `if` runs nothing but a statement: no other branch, and a test that calls nothing."""
    if not isinstance(outer, ast.If) or outer.body != [statement] or outer.orelse:
        return False
    return not any(isinstance(one, ast.Call | ast.NamedExpr | ast.Await) for one in ast.walk(outer.test))


def under_enable_grad(site: Statement) -> Edits:
    """A statement under `no_grad` that a gradient has to flow through goes under `torch.enable_grad()`."""
    return [_under(site, "torch.enable_grad()", site.source_code.text_of(site.statement))]


def _under(site: Statement, mode: str, text: str) -> Edit:
    """The statement becomes a `with` block with `text` in it."""
    block = f"with {mode}:\n{site.source_code.indent_of(site.statement)}    {text}"
    return in_place_of(site.statement, block)


def not_reentrant(source: SourceCode, node: ast.Call) -> Edits:
    """`checkpoint(f, x)` with `use_reentrant=False`; none where it says something else already."""
    flag = next((keyword.value for keyword in node.keywords if keyword.arg == "use_reentrant"), None)
    if flag is None:
        return [with_keyword(source, node, "use_reentrant=False")]
    return [in_place_of(flag, "False")] if isinstance(flag, ast.Constant) and flag.value is True else []


def with_keyword(source: SourceCode, node: ast.Call, text: str) -> Edit:
    """A keyword behind the arguments of a call."""
    line, column = node_position(node).end
    inner = source.text_of(node)[:-1].rstrip()
    return Edit(Position(line, column - 1, line, column - 1), ("" if inner.endswith((",", "(")) else ", ") + text)

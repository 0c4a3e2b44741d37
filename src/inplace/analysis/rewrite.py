"""Changes of the user's own source that may mend a finding, the likeliest first; `verify` says whether one does."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from inplace.analysis.edit import Edit, Editor, end_of, start_of
from inplace.analysis.index import Index
from inplace.analysis.report import (
    CustomFunction,
    Cut,
    Finding,
    InferenceTensor,
    LeafViewWrite,
    LeafWrite,
    MultiOutputWrite,
    OverlappingWrite,
    Place,
    ReboundLeaf,
    Rewrite,
    StaleSave,
    UnseenWrite,
)

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
_MODULES = frozenset({"torch", "F", "nn", "functional", "init", "np", "numpy", "math"})
_CUTTING = frozenset({"detach", "item", "numpy", "cpu", "tolist", "clone"})
_MOST = 4

Edits = list[Edit]


def rewrites(index: Index, finding: Finding) -> tuple[Rewrite, ...]:
    """Changes that may mend a finding; none where we know of none."""
    if finding.severity == "info" or not finding.culprits:
        return ()
    found: dict[Rewrite, None] = {}
    for place in finding.culprits[:2]:
        site = _Site.of(index, place)
        for edits in _ways(site, finding) if site is not None else ():
            rewrite = site.editor.rewrite(edits) if site is not None else None
            if rewrite is not None and rewrite.old != rewrite.new and _parses(site, rewrite):
                found[rewrite] = None
    return tuple(found)[:_MOST]


class _Site:
    """A culprit in its source: the statement that stands alone on its lines, and the expression that wrote."""

    def __init__(self, editor: Editor, statement: ast.stmt, node: ast.AST | None) -> None:
        self.editor, self.statement, self.node = editor, statement, node

    @classmethod
    def of(cls, index: Index, place: Place) -> _Site | None:
        source = next((one for one in index.trace.sources if one.file == place.file and one.text), None)
        if source is None:
            return None
        editor = Editor(source)
        statement = _innermost(editor.tree, place)
        if statement is None or hasattr(statement, "body") or not editor.is_alone(statement):
            return None
        nodes = [one for one in ast.walk(statement) if isinstance(one, ast.expr | ast.stmt) and _covers(one, place)]
        # An expression that is a statement covers the same range as that statement.
        return cls(editor, statement, nodes[-1] if nodes else None)


def _innermost(tree: ast.Module, place: Place) -> ast.stmt | None:
    at = (place.position.line, place.position.column)
    around = [one for one in ast.walk(tree) if isinstance(one, ast.stmt) and start_of(one) <= at < end_of(one)]
    return max(around, key=start_of, default=None)


def _covers(node: ast.expr | ast.stmt, place: Place) -> bool:
    position = place.position
    return (*start_of(node), *end_of(node)) == (
        position.line,
        position.column,
        position.end_line,
        position.end_column,
    )


def _parses(site: _Site | None, rewrite: Rewrite) -> bool:
    try:
        ast.parse("if True:\n" + "\n".join(f" {line}" for line in rewrite.new.splitlines()))
    except SyntaxError:
        return False
    return site is not None


def _ways(site: _Site, finding: Finding) -> Iterator[Edits]:
    if isinstance(finding, LeafWrite | LeafViewWrite):
        yield from _without_grad(site)
    elif isinstance(finding, ReboundLeaf):
        yield from _update_leaf(site)
    elif isinstance(finding, Cut):
        yield from _uncut(site)
    elif isinstance(finding, OverlappingWrite):
        yield from _clone_value(site)
        yield from _clone_before(site)
    elif isinstance(finding, MultiOutputWrite | InferenceTensor):
        yield from _clone_before(site)
    elif isinstance(finding, UnseenWrite):
        yield from _behind_backward(site)
        yield from _clone_before(site)
    elif isinstance(finding, StaleSave | CustomFunction):
        if ".step(" in site.editor.text_of(site.statement):
            yield from _behind_backward(site)
        yield from _out_of_place(site)
        yield from _no_flag(site)
        yield from _clone_before(site)
        yield from _behind_backward(site)


# ---------------------------------------------------------------- out of place


def _out_of_place(site: _Site) -> Iterator[Edits]:
    """`h.relu_()` -> `h = h.relu()`, `h += x` -> `h = h + x`, `torch.relu_(h)`, `F.relu(h, inplace=True)`."""
    statement, node, editor = site.statement, site.node, site.editor
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name | ast.Attribute):
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
    if isinstance(function, ast.Attribute) and function.attr.endswith("_") and not function.attr.startswith("__"):
        is_module = isinstance(function.value, ast.Name) and function.value.id in _MODULES
        written = written if is_module else function.value
        if function.attr in _NO_TWIN:
            edits = _made_like(editor, node, function)
        else:
            line, column = end_of(function)
            edits = [Edit((line, column - 1), (line, column), "")]
    if not edits:
        return
    if isinstance(statement, ast.Expr) and statement.value is not None and written is not None:
        holder = _innermost_receiver(written)
        if not isinstance(holder, ast.Name | ast.Attribute):
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
    for keyword in call.keywords:
        if keyword.arg == "inplace" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True:
            return [Edit(start_of(keyword.value), end_of(keyword.value), "False")]
    return []


def _no_flag(site: _Site) -> Iterator[Edits]:
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


def _clone_before(site: _Site) -> Iterator[Edits]:
    """`h = h.clone()` on the line before the write: a tensor of its own, so that the save keeps its bytes."""
    name = _written_name(site)
    if name is not None:
        copied = "copy" if ".numpy(" in name else "clone"
        at = start_of(site.statement)
        yield [Edit(at, at, f"{name} = {name}.{copied}()\n{site.editor.indent_of(site.statement)}")]


def _written_name(site: _Site) -> str | None:
    """The variable (or attribute) that a statement writes to or through: `h` of `h.data[0].mul_(2)`."""
    target: ast.AST | None = site.node
    statement = site.statement
    if isinstance(statement, ast.AugAssign):
        target = statement.target
    elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Subscript):
        target = statement.targets[0]
    elif isinstance(target, ast.Call):
        function = target.func
        is_module = (
            isinstance(function, ast.Attribute)
            and isinstance(function.value, ast.Name)
            and function.value.id in _MODULES
        )
        if is_module or not isinstance(function, ast.Attribute):
            target = target.args[0] if target.args else None
        else:
            target = function.value
    while isinstance(target, ast.Subscript | ast.Call | ast.Attribute):
        inner = target.func if isinstance(target, ast.Call) else target.value
        if isinstance(target, ast.Attribute) and isinstance(inner, ast.Name) and inner.id == "self":
            return f"self.{target.attr}"
        target = inner
    return target.id if isinstance(target, ast.Name) and target.id not in _MODULES else None


def _clone_value(site: _Site) -> Iterator[Edits]:
    """`x[1:] = x[:-1]` -> `x[1:] = x[:-1].clone()`: what is read is copied before anything is written."""
    statement, node, editor = site.statement, site.node, site.editor
    value: ast.expr | None = statement.value if isinstance(statement, ast.Assign | ast.AugAssign) else None
    if value is None and isinstance(node, ast.Call):
        value = next((one for one in node.args if not isinstance(one, ast.Constant)), None)
    if value is not None:
        yield [Edit(start_of(value), end_of(value), f"{_operand(editor, value)}.clone()")]


# ---------------------------------------------------------------- other orders, other modes


def _behind_backward(site: _Site) -> Iterator[Edits]:
    """A write that comes between forward and backward goes behind the backward, in the same block."""
    editor = site.editor
    block = _enclosing(site)
    if block is None:
        return
    statement, statements = block
    for later in statements[statements.index(statement) + 1 :]:
        if isinstance(later, ast.Expr | ast.Assign) and "backward(" in editor.text_of(later) and editor.is_alone(later):
            end, last = end_of(later), end_of(statement)[0]
            yield [
                Edit((statement.lineno, 0), (last + 1, 0), ""),
                Edit(end, end, f"\n{editor.lines(statement.lineno, last)}"),
            ]
            return


def _enclosing(site: _Site) -> tuple[ast.stmt, list[ast.stmt]] | None:
    """The statement that is to move and its block: with the `with` block that has nothing else in it."""
    statement, block = site.statement, site.editor.block_of(site.statement)
    for node in ast.walk(site.editor.tree):
        if isinstance(node, ast.With) and node.body == [statement]:
            return node, site.editor.block_of(node)
    return (statement, block) if statement in block else None


def _without_grad(site: _Site) -> Iterator[Edits]:
    """The update of a leaf goes under `torch.no_grad()`."""
    statement, editor = site.statement, site.editor
    text = editor.text_of(statement)
    if "\n" not in text:
        yield [
            Edit(
                start_of(statement),
                end_of(statement),
                f"with torch.no_grad():\n{editor.indent_of(statement)}    {text}",
            )
        ]
    name = _written_name(site)
    if name is not None:
        at = start_of(statement)
        yield [Edit(at, at, f"{name} = {name}.detach()\n{editor.indent_of(statement)}")]
    yield from _out_of_place(site)


def _update_leaf(site: _Site) -> Iterator[Edits]:
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


def _uncut(site: _Site) -> Iterator[Edits]:
    """`loss.detach()` -> `loss`, `torch.tensor(t)` -> `t`."""
    node, editor = site.node, site.editor
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in _CUTTING and not node.args:
            yield [Edit(start_of(node), end_of(node), editor.text_of(node.func.value))]
        elif node.func.attr in {"tensor", "as_tensor", "from_numpy"} and len(node.args) == 1:
            yield [Edit(start_of(node), end_of(node), _operand(editor, node.args[0]))]
    elif isinstance(node, ast.Attribute) and node.attr == "data":
        yield [Edit(start_of(node), end_of(node), editor.text_of(node.value))]

"""A place that wrote, in its source: the statement that may be changed and the expression in it."""

from __future__ import annotations

import ast

from inplace.fixes.editing import Editor, end_of, start_of
from inplace.reading.index import Index
from inplace.reading.place import Place

MODULES = frozenset({"torch", "F", "nn", "functional", "init", "np", "numpy", "math"})
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)


class Statement:
    """A culprit in its source: the statement that stands alone on its lines, and the expression that wrote."""

    def __init__(self, editor: Editor, statement: ast.stmt, node: ast.AST | None) -> None:
        self.editor, self.statement, self.node = editor, statement, node

    @classmethod
    def of(cls, index: Index, place: Place) -> Statement | None:
        """The site of a place; None where its source is not known, or its statement can't be changed alone."""
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

    @property
    def is_step(self) -> bool:
        """Whether the statement is the step of an optimizer, which has no out-of-place twin."""
        return ".step(" in self.editor.text_of(self.statement)

    def written_name(self) -> str | None:
        """The variable (or attribute) that the statement writes to or through: `h` of `h.data[0].mul_(2)`."""
        target: ast.AST | None = self.node
        statement = self.statement
        if isinstance(statement, ast.AugAssign):
            target = statement.target
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Subscript):
            target = statement.targets[0]
        elif isinstance(target, ast.Call):
            target = _receiver(target)
        while isinstance(target, ast.Subscript | ast.Call | ast.Attribute):
            inner = target.func if isinstance(target, ast.Call) else target.value
            if isinstance(target, ast.Attribute) and isinstance(inner, ast.Name) and inner.id == "self":
                return f"self.{target.attr}"
            target = inner
        return target.id if isinstance(target, ast.Name) and target.id not in MODULES else None

    def may_rebind(self, name: str) -> bool:
        """Whether a variable can be given a tensor of its own here.

        Not where a loop gives it out (the container keeps the old one), nor where a function never reads it again:
        then the write was made for somebody else who has the tensor.
        """
        if "." in name:
            return True
        around = [one for one in ast.walk(self.editor.tree) if self._is_in(one)]
        scope = max((one for one in around if isinstance(one, _SCOPES)), key=lambda one: one.lineno, default=None)
        loops = [one for one in around if isinstance(one, _LOOPS) and (scope is None or one.lineno > scope.lineno)]
        if any(isinstance(one, ast.For | ast.AsyncFor) and name in _names(one.target) for one in loops):
            return False
        if scope is None:
            return True
        behind = end_of(self.statement)
        return any(
            start_of(one) >= behind or any(_holds(loop, one) for loop in loops)
            for one in ast.walk(scope)
            if isinstance(one, ast.Name) and one.id == name and isinstance(one.ctx, ast.Load) and not self._holds(one)
        )

    def _is_in(self, node: ast.AST) -> bool:
        return isinstance(node, _SCOPES + _LOOPS) and _holds(node, self.statement)

    def _holds(self, node: ast.expr) -> bool:
        return _holds(self.statement, node)

    def enclosing(self) -> tuple[ast.stmt, list[ast.stmt]]:
        """The statement that is to move, with the blocks that have nothing else in them, and the block it is in."""
        statement = self.statement
        while True:
            outer = next(
                (
                    node
                    for node in ast.walk(self.editor.tree)
                    if isinstance(node, ast.With | ast.For) and node.body == [statement]
                ),
                None,
            )
            if outer is None or (isinstance(outer, ast.For) and outer.orelse) or not self.editor.is_alone(outer):
                return statement, self.editor.block_of(statement)
            statement = outer


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


def _receiver(call: ast.Call) -> ast.expr | None:
    function = call.func
    is_module = (
        isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id in MODULES
    )
    if is_module or not isinstance(function, ast.Attribute):
        return call.args[0] if call.args else None
    return function.value


def _names(target: ast.expr) -> set[str]:
    return {one.id for one in ast.walk(target) if isinstance(one, ast.Name)}


def _holds(outer: ast.AST, inner: ast.expr | ast.stmt) -> bool:
    if not isinstance(outer, ast.expr | ast.stmt):
        return False
    return start_of(outer) <= start_of(inner) and end_of(inner) <= end_of(outer)

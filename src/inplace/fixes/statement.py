"""A place that wrote, in its source: the statement that may be changed and the expression in it."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from inplace.checks.finding import Cure, Rewrite
from inplace.facts.called import MODULES, given_to, method_called
from inplace.facts.model import Position
from inplace.facts.source_code import SourceCode, called_name, is_simple, node_position
from inplace.fixes.editing import Edit, rewritten
from inplace.reading.source.code import Code
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

_ARRAYS = frozenset({"np", "numpy"})
_PLAIN = frozenset({"float", "int", "bool", "str", "len", "list", "tuple", "dict", "set", "range"})
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Statement:
    """A culprit in its source: the statement that stands alone on its lines, and the expression that wrote."""

    def __init__(self, file: str, code: Code, statement: ast.stmt, node: ast.AST | None) -> None:
        self.file, self._code, self.source_code = file, code, code.source_code
        self.statement, self.node = statement, node

    @classmethod
    def of(cls, index: Index, place: Place) -> Statement | None:
        """The site of a place; None where its source is not known, or its statement can't be changed alone."""
        code = index.places.code(place)
        source, statement = code.source_code, code.statement(place.position)
        if statement is None or not is_simple(statement) or not source.is_alone(node_position(statement)):
            return None
        return cls(place.file, code, statement, source.node(place.position) or _link_at(statement, place.position))

    @property
    def text(self) -> str:
        """The whole source, as edits are applied to it."""
        return "\n".join(self.source_code.lines)

    def beside(self, statement: ast.stmt, node: ast.AST | None) -> Statement:
        """Another statement of the same source."""
        return Statement(self.file, self._code, statement, node)

    def rewrite(self, edits: Sequence[Edit], cure: Cure | None = None) -> Rewrite:
        """The lines of the source that some edits change, before and after."""
        return replace(rewritten(self.file, self.source_code, edits), cure=cure)

    @property
    def is_step(self) -> bool:
        """Whether the statement is the step of an optimizer, which has no out-of-place twin."""
        return any(
            isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr == "step"
            for one in ast.walk(self.statement)
        )

    @property
    def is_one_line(self) -> bool:
        """Whether the statement has one line."""
        return self.statement.end_lineno == self.statement.lineno

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
        is_module = isinstance(target, ast.Name) and (target.id in MODULES or target.id in self.source_code.imported)
        return target.id if isinstance(target, ast.Name) and not is_module else None

    def is_array(self, name: str) -> bool:
        """Whether the source makes a variable a numpy array, which has `copy` where a tensor has `clone`."""
        above = self._code.assignment_above(node_position(self.statement), name)
        made = self.source_code.node(above) if above is not None else None
        if not isinstance(made, ast.Call) or not isinstance(made.func, ast.Attribute):
            return False
        holder = made.func.value
        return made.func.attr == "numpy" or (isinstance(holder, ast.Name) and holder.id in _ARRAYS)

    def enclosing(self) -> tuple[ast.stmt, list[ast.stmt]]:
        """The statement that is to move, with the blocks that have nothing else in them, and the block it is in."""
        *around, statement = self.source_code.statements_around(node_position(self.statement))
        while around and _has_only(around[-1], statement) and self.source_code.is_alone(node_position(around[-1])):
            statement = around.pop()
        return statement, self.source_code.block_of(statement)


def _link_at(statement: ast.stmt, position: Position) -> ast.Call | None:
    """The call of a method on a line of its own, of which Python says where the method's name begins."""
    for one in ast.walk(statement):
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute):
            whole = node_position(one)
            if whole.end == position.end and whole.start < position.start and whole.line < position.line:
                return one
    return None


def parts_of(node: ast.expr) -> list[ast.expr] | None:
    """What an expression puts together that makes an object or container: no tensor, which would have `clone`.

    Empty where it makes neither of others; None where what it gives may be a tensor.
    """
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return node.elts
    if isinstance(node, ast.Dict):
        return node.values
    if isinstance(node, ast.Call) and called_name(node)[:1].isupper() and not called_name(node).endswith("Tensor"):
        return [*node.args, *(keyword.value for keyword in node.keywords)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _PLAIN:
        return []
    is_other = isinstance(node, ast.Constant | ast.JoinedStr | ast.Lambda | ast.ListComp | ast.DictComp | ast.SetComp)
    return [] if is_other else None


def _has_only(outer: ast.stmt, statement: ast.stmt) -> bool:
    return isinstance(outer, ast.With | ast.For) and outer.body == [statement] and not getattr(outer, "orelse", None)


def _receiver(call: ast.Call) -> ast.expr | None:
    return next(iter(given_to(call)), None)


def is_module(node: ast.expr) -> bool:
    """Whether an expression is one of the modules that are known by their usual names, or below one: `torch.nn`."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id in MODULES


def written_expression(node: ast.AST) -> ast.expr | None:
    """What a call or assignment writes to, as it is written: `h` of `h.add_(1).mul_(2)`, of `h[0] = 1` and of `h += 1`.

    In-place methods give out what they wrote to, so that a chain of them writes to what it begins with.
    """
    if isinstance(node, ast.AugAssign):
        node = node.target
    elif isinstance(node, ast.Assign) and len(node.targets) == 1:
        node = node.targets[0]
    if isinstance(node, ast.Subscript):
        return node.value
    if isinstance(node, ast.Call):
        out = next((keyword.value for keyword in node.keywords if keyword.arg == "out"), None)
        found = out if out is not None else _receiver(node)
        while isinstance(found, ast.Call) and method_called(found).endswith("_"):
            found = _receiver(found)
        return found
    return node if isinstance(node, ast.Name | ast.Attribute) else None


def function_around(source: SourceCode, statement: ast.stmt) -> ast.stmt | None:
    """The innermost function that a statement is in."""
    around = [one for one in source.statements_around(node_position(statement)) if isinstance(one, FUNCTIONS)]
    return around[-1] if around else None

"""What the user's source says around a place: statements, assigned names, receivers. Text in, text out."""

from __future__ import annotations

import ast
from functools import cached_property

from inplace.facts.model import Position, Source

_MODULES = frozenset({"torch", "F", "nn"})
_LIBRARY_NAMES = frozenset({"torch", "nn", "F", "np", "numpy", "self", "math", "copy", "optim", "cls"})


class Code:
    """The parsed source of one file or cell; empty where it has no text or does not parse."""

    def __init__(self, source: Source) -> None:
        self._text = source.text or ""
        self._lines = [line.encode() for line in self._text.splitlines()]

    @cached_property
    def _tree(self) -> ast.Module:
        try:
            return ast.parse(self._text)
        except (SyntaxError, ValueError):
            return ast.Module(body=[], type_ignores=[])

    @cached_property
    def _statements(self) -> list[ast.stmt]:
        return [node for node in ast.walk(self._tree) if isinstance(node, ast.stmt)]

    @cached_property
    def _expressions(self) -> dict[tuple[int, int, int, int], ast.AST]:
        found: dict[tuple[int, int, int, int], ast.AST] = {}
        for node in ast.walk(self._tree):
            if isinstance(node, ast.expr | ast.stmt):
                found.setdefault(_range(node), node)
        return found

    def text(self, position: Position) -> str:
        """The source text of exactly that range."""
        rows = self._lines[position.line - 1 : position.end_line]
        if not rows:
            return ""
        rows[-1] = rows[-1][: position.end_column]
        rows[0] = rows[0][position.column :]
        return b"\n".join(rows).decode(errors="replace")

    def line(self, number: int) -> str:
        """One whole line, from 1; empty outside the text."""
        return self._lines[number - 1].decode(errors="replace") if 0 < number <= len(self._lines) else ""

    def node(self, position: Position) -> ast.AST | None:
        """The syntax node that covers exactly that range."""
        return self._expressions.get((position.line, position.column, position.end_line, position.end_column))

    def statement(self, position: Position) -> ast.stmt | None:
        """The innermost statement around a range."""
        best: ast.stmt | None = None
        for node in self._statements:
            start, column, end, end_column = _range(node)
            inside = (start, column) <= (position.line, position.column) and (
                (position.end_line, position.end_column) <= (end, end_column)
            )
            if inside and (best is None or _range(best)[:2] <= (start, column)):
                best = node
        return best

    def targets(self, position: Position) -> tuple[str, ...]:
        """The names and expressions that the statement around a range assigns, as source text."""
        statement = self.statement(position)
        found: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            found = list(statement.targets)
        elif isinstance(statement, ast.AugAssign | ast.AnnAssign | ast.For | ast.AsyncFor):
            found = [statement.target]
        flat: list[str] = []
        for target in found:
            parts = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
            flat += [ast.unparse(part) for part in parts]
        return tuple(flat)

    def indexed(self, position: Position) -> tuple[int | slice, ...] | None:
        """The index of the one item that the statement around a range assigns, where it is written out in numbers."""
        statement = self.statement(position)
        target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
        if not isinstance(target, ast.Subscript):
            return None
        parts = target.slice.elts if isinstance(target.slice, ast.Tuple) else [target.slice]
        try:
            return tuple(_literal(part) for part in parts)
        except ValueError:  # a name, a mask, an ellipsis
            return None

    def whole(self, position: Position) -> Position:
        """The statement whose only target is that range, so that an item assignment is told with its value."""
        statement = self.statement(position)
        if isinstance(statement, ast.Assign) and [_range(one) for one in statement.targets] == [
            (position.line, position.column, position.end_line, position.end_column)
        ]:
            return Position(*_range(statement))
        return position

    def assigned_from(self, position: Position) -> tuple[str, ...]:
        """The targets of an assignment whose whole right side is that range: what the result is called from then on."""
        statement = self.statement(position)
        if not isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign):
            return ()
        node = self.node(position)
        if node is statement or node is statement.value:
            return self.targets(position)
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        value = statement.value
        if isinstance(value, ast.Tuple) and isinstance(target, ast.Tuple) and node in value.elts:
            number = value.elts.index(node)  # `left, right = h[:2], h[2:]`: each its own
            return (ast.unparse(target.elts[number]),) if len(target.elts) == len(value.elts) else ()
        return ()

    def assignment_above(self, position: Position, name: str) -> Position | None:
        """The right side of the last assignment to `name` at or above a line."""
        best: Position | None = None
        for statement in self._statements:
            value = getattr(statement, "value", None)
            if not isinstance(statement, ast.Assign | ast.AnnAssign) or not isinstance(value, ast.expr):
                continue
            found = Position(*_range(value))
            if (
                statement.lineno <= position.line
                and name in self.targets(found)
                and (best is None or found.line >= best.line)
            ):
                best = found
        return best

    def items_put_into(self, names: frozenset[str]) -> list[Position]:
        """The places where something is appended to, or stored in, one of some containers."""
        found = []
        for node in ast.walk(self._tree):
            holder: ast.expr | None = None
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                holder = node.func.value if node.func.attr in {"append", "extend", "insert", "appendleft"} else None
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
                holder = node.targets[0].value
            if holder is not None and isinstance(node, ast.expr | ast.stmt) and ast.unparse(holder) in names:
                found.append(Position(*_range(node)))
        return found

    def apply_above(self, position: Position, names: frozenset[str]) -> Position | None:
        """The last `X.apply(...)` at or above a line whose result is assigned to one of some names, or used there."""
        best: Position | None = None
        for statement in self._statements:
            if hasattr(statement, "body") or statement.lineno > position.line:
                continue
            for node in ast.walk(statement):
                if (
                    not isinstance(node, ast.Call)
                    or not isinstance(node.func, ast.Attribute)
                    or node.func.attr != "apply"
                ):
                    continue
                found = Position(*_range(node))
                named = not names.isdisjoint(self.targets(found)) or statement.lineno == position.line
                if named and (best is None or found.line >= best.line):
                    best = found
        return best

    def receiver(self, position: Position) -> str | None:
        """The text of what is written to at a range: `h` of `h.relu_()`, of `h += 1` and of `h[0] = 1`."""
        node = self.node(position)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return ast.unparse(node.func.value)
        if isinstance(node, ast.AugAssign):
            node = node.target
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            node = node.targets[0]
        if isinstance(node, ast.Subscript):
            return ast.unparse(node.value)
        return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else None

    def mentioned(self, position: Position) -> list[str]:
        """The user's variables that a range mentions: what it writes to, what it assigns, what it uses."""
        receiver = self.receiver(position)
        written = [receiver] if receiver and root_of(receiver) not in _MODULES else []
        return [*written, *self.targets(position), *self.roots(position)]

    def roots(self, position: Position) -> tuple[str, ...]:
        """The user's variables that the text of a range mentions, in order, without module names and `self`."""
        node = self.node(position) or self.statement(position)
        found: dict[str, None] = {}
        for name in _ordered_names(node) if node is not None else ():
            if name not in _LIBRARY_NAMES:
                found[name] = None
        return tuple(found)


def root_of(expression: str) -> str:
    """The variable an expression begins with: `model` of `model.fc1.weight[0]`."""
    for end, letter in enumerate(expression):
        if not (letter.isalnum() or letter == "_"):
            return expression[:end]
    return expression


def _ordered_names(node: ast.AST) -> list[str]:
    names = [one for one in ast.walk(node) if isinstance(one, ast.Name)]
    names.sort(key=lambda one: (one.lineno, one.col_offset))
    attributes = [
        one.attr
        for one in ast.walk(node)
        if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name) and one.value.id == "self"
    ]
    return [one.id for one in names] + attributes


def _literal(part: ast.expr) -> int | slice:
    if isinstance(part, ast.Slice):
        ends = [None if end is None else ast.literal_eval(end) for end in (part.lower, part.upper, part.step)]
        if all(end is None or type(end) is int for end in ends) and (ends[2] is None or ends[2] > 0):
            return slice(*ends)
    elif type(found := ast.literal_eval(part)) is int:
        return found
    raise ValueError(ast.unparse(part))


def _range(node: ast.expr | ast.stmt) -> tuple[int, int, int, int]:
    return node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or node.col_offset

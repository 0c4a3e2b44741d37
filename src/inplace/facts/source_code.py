"""The user's source by positions: its lines and its syntax tree, and what stands where in them."""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property

from inplace.facts.lines import lines_of
from inplace.facts.model import Position

LOOPS = (ast.For, ast.AsyncFor, ast.While)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class SourceCode:
    """One source text of the user's. It is parsed once, when first asked what is in it.

    Where there is no text, or it does not parse, the tree is empty, and what asks for a node finds none.
    """

    def __init__(self, text: str | None) -> None:
        self._text = text or ""
        self._functions: dict[Position, ast.FunctionDef | ast.AsyncFunctionDef | None] = {}
        self._around: dict[Position, list[ast.stmt]] = {}

    # ------------------------------------------------------------ text

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines as Python counts them, without their ends."""
        return lines_of(self._text)

    @cached_property
    def _bytes(self) -> list[bytes]:
        return [line.encode(errors="replace") for line in self.lines]

    def line(self, number: int) -> str:
        """One whole line, from 1; empty outside the text."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""

    def text(self, position: Position) -> str:
        """The text of exactly that range."""
        rows = self._bytes[max(position.line - 1, 0) : position.end_line]
        if not rows:
            return ""
        rows[-1] = rows[-1][: position.end_column]
        rows[0] = rows[0][position.column :]
        return b"\n".join(rows).decode(errors="replace")

    def text_of(self, node: ast.expr | ast.stmt) -> str:
        """The text of a node."""
        return self.text(node_position(node))

    def column(self, line: int, column: int) -> int:
        """A column in characters, of one in bytes; the same where there is no such line."""
        if not 0 < line <= len(self._bytes):
            return column
        return len(self._bytes[line - 1][:column].decode(errors="replace"))

    def is_alone(self, position: Position) -> bool:
        """Whether a range has its lines to itself, but for a comment behind it."""
        if not 0 < position.line <= position.end_line <= len(self._bytes):
            return False
        before = self._bytes[position.line - 1][: position.column].strip()
        after = self._bytes[position.end_line - 1][position.end_column :].strip()
        return not before and (not after or after.startswith(b"#"))

    def indent_of(self, statement: ast.stmt) -> str:
        """What stands on its line before a statement: white space, where it is alone."""
        return self._bytes[statement.lineno - 1][: statement.col_offset].decode(errors="replace")

    # ------------------------------------------------------------ syntax

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        try:
            return ast.parse(self._text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nested too deep
            return ast.Module(body=[], type_ignores=[])

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node, the outer ones first."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def statements(self) -> tuple[ast.stmt, ...]:
        """Every statement, the outer ones first."""
        return tuple(node for node in self.nodes if isinstance(node, ast.stmt))

    @cached_property
    def imported(self) -> frozenset[str]:
        """The names that imports give."""
        imports = (one for one in self.statements if isinstance(one, ast.Import | ast.ImportFrom))
        names = (alias.asname or alias.name.partition(".")[0] for one in imports for alias in one.names)
        return frozenset(names)

    @cached_property
    def simple_statements(self) -> tuple[ast.stmt, ...]:
        """The statements that have no others in them, the outer ones first."""
        return tuple(statement for statement in self.statements if is_simple(statement))

    @cached_property
    def simple(self) -> frozenset[ast.stmt]:
        """The same as a set."""
        return frozenset(self.simple_statements)

    @cached_property
    def _node_at(self) -> dict[Position, ast.expr | ast.stmt]:
        found: dict[Position, ast.expr | ast.stmt] = {}
        for kind in (ast.expr, ast.stmt):  # an expression may be a whole statement, and says more
            for node in self.nodes:
                if isinstance(node, kind):
                    found.setdefault(node_position(node), node)
        return found

    def node(self, position: Position) -> ast.expr | ast.stmt | None:
        """The expression that covers exactly that range, else the statement that does."""
        return self._node_at.get(position)

    def statements_around(self, position: Position) -> list[ast.stmt]:
        """The statements that a range lies in, the outermost first; asked for each call of a loop, so kept."""
        known = self._around.get(position)
        if known is not None:
            return known
        found = self._around[position] = []
        block = self.tree.body
        while True:
            after = bisect_right(block, position.start, key=lambda one: (one.lineno, one.col_offset))
            if not after or not node_position(block[after - 1]).holds(position):
                return found
            found.append(block[after - 1])
            block = list(_inside(block[after - 1]))

    def statement(self, position: Position) -> ast.stmt | None:
        """The innermost statement that a range lies in."""
        around = self.statements_around(position)
        return around[-1] if around else None

    def function_around(self, position: Position) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The innermost function in whose body a range lies; a default argument is not in its function's."""
        if position not in self._functions:
            around = [one for one in self.statements_around(position) if isinstance(one, FUNCTIONS)]
            inside = (one for one in reversed(around) if node_position(one.body[0]).start <= position.start)
            self._functions[position] = next(inside, None)
        return self._functions[position]

    @cached_property
    def names(self) -> dict[str, list[ast.Name]]:
        """Where each variable is mentioned, by its name."""
        found: dict[str, list[ast.Name]] = {}
        for node in self.nodes:
            if isinstance(node, ast.Name):
                found.setdefault(node.id, []).append(node)
        return found

    def mentioning(self, name: str, function: ast.stmt | None) -> list[ast.stmt]:
        """The innermost statements that mention a variable, in a function and in those within; anywhere for none."""
        places = [node_position(one) for one in self.names.get(name, ())]
        inside = [at for at in places if function is None or node_position(function).holds(at)]
        return list(dict.fromkeys(one for at in inside if (one := self.statement(at)) is not None))

    def on_line(self, number: int) -> Position:
        """The last simple statement that a line has a part in; where there is none, what stands on the line."""
        for statement in reversed(self.simple_statements):
            if statement.lineno <= number <= (statement.end_lineno or statement.lineno):
                return node_position(statement)
        line = self.line(number).encode(errors="replace")
        start = len(line) - len(line.lstrip())
        return Position(number, start, number, start + len(line.strip()))

    @cached_property
    def _blocks(self) -> dict[ast.stmt, list[ast.stmt]]:
        found: dict[ast.stmt, list[ast.stmt]] = {}
        for node in self.nodes:
            for _, block in ast.iter_fields(node):
                if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                    found.update(dict.fromkeys(block, block))
        return found

    def block_of(self, statement: ast.stmt) -> list[ast.stmt]:
        """The statements among which one stands, itself with them."""
        return self._blocks[statement]


def node_position(node: ast.expr | ast.stmt) -> Position:
    """The range of a node."""
    end, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
    return Position(node.lineno, node.col_offset, end, end_column)


def is_simple(statement: ast.stmt) -> bool:
    """Whether a statement has no others in it, as Python's grammar calls it."""
    return not list(_inside(statement))  # to its end: an interrupt while a generator is closed would be lost


def _inside(statement: ast.stmt) -> Iterator[ast.stmt]:
    """The statements of the blocks of one, in the order of the text."""
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.stmt):
            yield child
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            yield from child.body


def positional(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The parameters of a function that take arguments by position."""
    return [one.arg for one in (*function.args.posonlyargs, *function.args.args)]


def called_name(call: ast.Call) -> str:
    """The last part of the name of what a call calls, `step` of `self.optimizer.step()`; empty where it has none."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""

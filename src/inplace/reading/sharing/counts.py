"""Which variables and attributes of a source count up, and are begun anew only where a sum is begun anew too.

NOTE [ A count and its sum ]
`(total + x) / n` may be an average, of a model and of its clients, where `n` is begun anew for each. So a variable
counts only where each statement that sets it stands in `__init__`, or in no function and no loop, or side by side with
one that sets the sum: a count that was begun anew shows in the sum then.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from inplace.facts.called import given_to, method_called
from inplace.facts.source_code import FUNCTIONS, LOOPS, called_name, node_position, positional
from inplace.reading.source.code import Code, root_of
from inplace.reading.source.numbers import pairs_of
from inplace.reading.trace.spelled import is_path

_SETTING = frozenset({"zero_", "fill_", "copy_"})
_PAIR = 2  # the number and the item that `enumerate` gives
_Key = tuple[ast.stmt | None, str]


class Counts:
    """What one source adds to, and what it sets.

    Each has a key: the function of a variable and its name; the class, and what hangs on `self`; what hangs on another.
    """

    def __init__(self, code: Code) -> None:
        self._code = code
        self._grown: set[_Key] = set()
        self._set: defaultdict[_Key, list[ast.stmt]] = defaultdict(list)
        for statement in code.source_code.simple_statements:
            for path, is_grown in _given(statement):
                if is_grown:
                    self._grown.add(self._key(path))
                else:
                    self._set[self._key(path)].append(statement)
        for loop in code.source_code.statements:
            if isinstance(loop, ast.For | ast.AsyncFor):
                self._set_by(loop)

    def is_of_count(self, divisor: ast.expr, summed: ast.expr) -> bool:
        """Whether something that a divisor mentions counts up, and is begun anew only where what it divides is."""
        total = self._key(summed) if is_path(summed) else None
        keys = {self._key(one) for one in paths_in(divisor)} - {total}
        grown = any(key in self._grown and self._is_begun_with(key, total) for key in keys)
        return grown or self._is_number_of_turn(divisor)

    def _set_by(self, loop: ast.For | ast.AsyncFor) -> None:
        for one in ast.walk(loop.target):
            if isinstance(one, ast.Name):
                self._set[self._key(one)].append(loop)

    def _key(self, path: ast.expr) -> _Key:
        """What stands for the same variable or attribute wherever it is mentioned."""
        at = node_position(path)
        while isinstance(path, ast.Subscript) and not _is_word(path.slice):
            path = path.value
        text = ast.unparse(path)
        root = root_of(text)
        around = self._code.source_code.statements_around(at)
        function = self._code.source_code.function_around(at)
        if root != text:
            holder = next((one for one in reversed(around) if isinstance(one, ast.ClassDef)), None)
            is_own = isinstance(function, FUNCTIONS) and root in positional(function)[:1]
            return (holder if is_own else None), text.removeprefix(root)
        is_local = function is not None and root in self._code.own_names(function)
        return (function if is_local else None), text

    def _is_begun_with(self, key: _Key, total: _Key | None) -> bool:
        """Whether nothing sets a count but what sets the sum beside it; see NOTE [ A count and its sum ]."""
        beside = {id(one) for one in self._setting(total)} if total is not None else set()
        return all(self._is_once(one) or self._sets_both(one, beside) for one in self._setting(key))

    def _setting(self, key: _Key) -> list[ast.stmt]:
        """The statements that set something, an attribute of a class from outside of it too."""
        holder, name = key
        outside = self._set.get((None, name), []) if isinstance(holder, ast.ClassDef) else []
        return [*self._set.get(key, []), *outside]

    def _is_once(self, statement: ast.stmt) -> bool:
        at = node_position(statement)
        function = self._code.source_code.function_around(at)
        if function is not None:
            return function.name == "__init__"
        return not any(isinstance(one, LOOPS) for one in self._code.source_code.statements_around(at))

    def _sets_both(self, statement: ast.stmt, beside: set[int]) -> bool:
        return any(id(one) in beside for one in self._code.source_code.block_of(statement))

    def _is_number_of_turn(self, divisor: ast.expr) -> bool:
        """Whether it is `i + 1` in a loop that enumerates by `i`."""
        counted = divisor.left if isinstance(divisor, ast.BinOp) and isinstance(divisor.op, ast.Add) else None
        around = self._code.source_code.statements_around(node_position(divisor))
        return isinstance(counted, ast.Name) and any(
            isinstance(one, ast.For) and counted.id == _numbered(one) for one in around
        )


def _numbered(loop: ast.For) -> str | None:
    """By which name a loop has the number of its turn: `i` of `for i, x in enumerate(xs)`."""
    if not isinstance(loop.iter, ast.Call) or called_name(loop.iter) != "enumerate":
        return None
    parts = loop.target.elts if isinstance(loop.target, ast.Tuple) else []
    return parts[0].id if len(parts) == _PAIR and isinstance(parts[0], ast.Name) else None


def _is_word(index: ast.expr) -> bool:
    """Whether an index is that of a dictionary, each of whose items is its own: `sums["loss"]`."""
    return isinstance(index, ast.Constant) and isinstance(index.value, str)


def _given(statement: ast.stmt) -> Iterator[tuple[ast.expr, bool]]:
    """What a statement sets or adds to; and whether it adds."""
    if isinstance(statement, ast.AugAssign):
        yield statement.target, isinstance(statement.op, ast.Add) and not _is_fraction(statement.value)
    elif isinstance(statement, ast.Assign):
        for target, value in pairs_of(statement):
            for one in target.elts if isinstance(target, ast.Tuple | ast.List) else [target]:
                yield one, _adds_to(one, value)
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        yield statement.target, False
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        given = given_to(statement.value)
        name = method_called(statement.value)
        if given and (name in _SETTING or name == "add_"):
            yield given[0], name == "add_"


def _adds_to(target: ast.expr, value: ast.expr) -> bool:
    """Whether `n = n + k` is what a statement says."""
    sides = [value.left, value.right] if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add) else []
    return ast.unparse(target) in map(ast.unparse, sides) and not any(map(_is_fraction, sides))


def _is_fraction(node: ast.expr) -> bool:
    """Whether it is a number with a point: what grows by that is a coefficient, and counts nothing."""
    return isinstance(node, ast.Constant) and isinstance(node.value, float)


def paths_in(node: ast.expr) -> Iterator[ast.expr]:
    """The variables and attributes that an expression mentions as wholes: `self.n` of `max(self.n, 1)`."""
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute):
            yield from paths_in(node.func.value)
        for one in (*node.args, *(keyword.value for keyword in node.keywords)):
            yield from paths_in(one)
    elif is_path(node):
        yield node
    else:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                yield from paths_in(child)

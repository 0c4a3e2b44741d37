"""Where a value goes in the user's source once it is no tensor: which statements use what a statement gives out.

It is read from names: what a statement assigns or puts into a container from a name that carries the value carries it
too, and so does what a function returns. Numbers are never compared: two values may be equal by chance.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cached_property

from inplace.facts.model import Position
from inplace.facts.source_code import node_position
from inplace.reading.source.code import Code

_PUT = frozenset({"append", "extend", "insert", "appendleft", "add", "update", "setdefault"})


class Flow:
    """What flows where in one source."""

    def __init__(self, code: Code) -> None:
        self._code = code

    @cached_property
    def _statements(self) -> list[tuple[ast.stmt, frozenset[str], frozenset[str]]]:
        """Each simple statement, and the heads of loops, with the names it uses and the names it gives a value."""
        found: list[tuple[ast.stmt, frozenset[str], frozenset[str]]] = []
        for statement in self._code.source_code.statements:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if isinstance(statement, ast.For | ast.AsyncFor):
                found.append((statement, _loaded([statement.iter]), _named([statement.target])))
            elif not any(isinstance(child, ast.stmt) for child in ast.iter_child_nodes(statement)):
                found.append((statement, _loaded([statement]), self._given(statement)))
        return found

    def _given(self, statement: ast.stmt) -> frozenset[str]:
        if isinstance(statement, ast.Assign):
            return _named(statement.targets)
        if isinstance(statement, ast.AugAssign | ast.AnnAssign):
            return _named([statement.target])
        if isinstance(statement, ast.Return):
            function = self._function_around(statement)
            return frozenset({function}) if function is not None else frozenset()
        value = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(value, ast.Yield) and (function := self._function_around(statement)) is not None:
            return frozenset({function})
        method = value.func if isinstance(value, ast.Call) else None
        if isinstance(method, ast.Attribute) and method.attr in _PUT:
            return _named([method.value])
        return frozenset()

    def _function_around(self, statement: ast.stmt) -> str | None:
        around = self._code.source_code.statements_around(node_position(statement))
        functions = [one for one in around if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
        return functions[-1].name if functions else None

    @cached_property
    def _parameters(self) -> dict[str, list[str]]:
        """The parameters of each function, by its name."""
        return {
            node.name: [one.arg for one in (*node.args.posonlyargs, *node.args.args) if one.arg not in {"self", "cls"}]
            for node in self._code.source_code.nodes
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }

    def _passed(self, statement: ast.stmt, is_carried: Callable[[ast.expr], bool]) -> set[str]:
        """The parameters that a statement hands the value to, by calling one of the user's functions."""
        found: set[str] = set()
        for node in ast.walk(statement):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                given = zip(self._parameters.get(name, ()), node.args, strict=False)
                found.update(parameter for parameter, argument in given if is_carried(argument))
        return found

    def from_(self, position: Position) -> set[Position]:
        """The statements that a value which a range gives out comes to, its own among them."""
        begun = self._code.statement(position)
        if begun is None:
            return set()
        reached = {node_position(begun)}
        carrying = {*self._given(begun), *self._passed(begun, lambda one: node_position(one).holds(position))}
        if isinstance(begun, ast.For | ast.AsyncFor):
            carrying |= _named([begun.target])

        def is_carried(argument: ast.expr) -> bool:
            return not carrying.isdisjoint(_loaded([argument]))

        while True:
            new: set[str] = set()
            for statement, used, given in self._statements:
                if not carrying.isdisjoint(used):
                    reached.add(node_position(statement))
                    new |= given | self._passed(statement, is_carried)
            if new <= carrying:
                return reached
            carrying |= new


def is_read_below(code: Code, name: str, position: Position) -> bool:
    """Whether a variable is read below a range, in the function around that: printed, or given back."""
    source = code.source_code
    function = source.function_around(position)
    return any(
        isinstance(one.ctx, ast.Load)
        and node_position(one).start > position.end
        and source.function_around(node_position(one)) is function
        for one in source.names.get(name, ())
    )


def _loaded(nodes: list[ast.expr] | list[ast.stmt]) -> frozenset[str]:
    """The names and attributes that are read; a called method's own name stands for a function of the user's."""
    found: set[str] = set()
    for one in nodes:
        for node in ast.walk(one):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                found.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                found.update((ast.unparse(node), node.attr) if _is_function(node) else (ast.unparse(node),))
            elif isinstance(node, ast.AugAssign):
                found |= _named([node.target])
    return frozenset(found)


def _is_function(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name)


def _named(targets: list[ast.expr]) -> frozenset[str]:
    found: set[str] = set()
    for target in targets:
        if isinstance(target, ast.Tuple | ast.List):
            found |= _named(target.elts)
        elif isinstance(target, ast.Subscript | ast.Starred):
            found |= _named([target.value])
        else:
            found.add(ast.unparse(target))
    return frozenset(found)

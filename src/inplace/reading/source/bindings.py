"""What the names of one source are bound to: assignments, loops, attributes; what is put away, and what is returned."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Position
from inplace.facts.source_code import FUNCTIONS, node_position
from inplace.reading.source.code import Code, is_putting

_METHODS = ("self", "cls")


@dataclass(frozen=True, slots=True)
class Binding:
    """A value that a name is given at a position; `statement` is None where a caller handed it over.

    It is given `items` of the value where a loop goes through that, or it is taken apart; `path` says which part.
    `scope` is where the name stands for that, of a loop or comprehension.
    """

    statement: ast.stmt | None
    value: ast.expr
    position: Position
    items: bool = False
    path: tuple[int, ...] = ()
    scope: Position | None = None


class Bindings:
    """The tables of one source, made once.

    Attributes:
        names: the bindings of each variable, by its function and its name.
        attributes: those of attributes, by their names alone, whatever object they are of.
        puts: the statements that put something into a container, by its function and name, or None and its attribute.
        returned: what the functions of each name return.
        yielded: what they yield.
    """

    def __init__(self, code: Code) -> None:
        self._code = code
        self.names: defaultdict[tuple[ast.stmt | None, str], list[Binding]] = defaultdict(list)
        self.attributes: defaultdict[str, list[Binding]] = defaultdict(list)
        self.puts: defaultdict[tuple[ast.stmt | None, str], list[ast.stmt]] = defaultdict(list)
        self.returned: defaultdict[str, list[ast.expr]] = defaultdict(list)
        self.yielded: defaultdict[str, list[ast.expr]] = defaultdict(list)
        self._fields: dict[str, list[str]] = {}
        self._defined = {one.name for one in code.source_code.statements if isinstance(one, FUNCTIONS)}
        for node in code.source_code.nodes:
            self._note(node)
        for node in code.source_code.nodes:
            if isinstance(node, ast.Call):
                self._note_fields(node)

    def scopes(self, position: Position) -> list[ast.stmt | None]:
        """The functions in whose bodies a position lies, the innermost first, and None for the source itself."""
        around = [one for one in self._code.source_code.statements_around(position) if isinstance(one, FUNCTIONS)]
        inside = [one for one in around if node_position(one.body[0]).start <= position.start]
        return [*reversed(inside), None]

    def of(self, function: ast.stmt | None, name: str, position: Position) -> list[Binding]:
        """What a variable of a function may be bound to at a position: by the innermost loop around, or by any line."""
        every = self.names.get((function, name), [])
        around = [one for one in every if one.scope is not None and one.scope.holds(position)]
        if around:
            return [max(around, key=lambda one: one.scope.start if one.scope is not None else (0, 0))]
        return [one for one in every if one.scope is None or isinstance(one.statement, ast.For | ast.AsyncFor)]

    def loop_of(self, name: str, position: Position) -> Position | None:
        """The innermost loop or comprehension around a position that goes through something by a name."""
        found = self.of(self.scopes(position)[0], name, position)
        return found[0].scope if found and found[0].scope is not None and found[0].scope.holds(position) else None

    # ------------------------------------------------------------ made

    def _note(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._bind(target, node.value, node)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self._bind(node.target, node.value, node)
        elif isinstance(node, ast.For | ast.AsyncFor):
            self._loop(node.target, node.iter, node, node_position(node))
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            for one in node.generators:
                self._loop(one.target, one.iter, self._code.statement(node_position(node)), node_position(node))
        elif isinstance(node, ast.Expr) and (method := self._putting(node)) is not None:
            self._put(method.value, node)
        elif isinstance(node, ast.Return | ast.Yield) and node.value is not None:
            function = self._code.source_code.function_around(node_position(node))
            if function is not None:
                (self.returned if isinstance(node, ast.Return) else self.yielded)[function.name].append(node.value)
        elif isinstance(node, ast.ClassDef):
            self._note_class(node)

    def _putting(self, statement: ast.Expr) -> ast.Attribute | None:
        """The method by which a statement puts something away; none of the user's own, whose body says what it does."""
        call = statement.value
        if not is_putting(statement) or not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            return None
        return None if call.func.attr in self._defined else call.func

    def _note_class(self, node: ast.ClassDef) -> None:
        """What all objects of a class have as attributes, and the fields it is made of (`Step(state, reward)`)."""
        for one in node.body:
            target = one.targets[0] if isinstance(one, ast.Assign) else getattr(one, "target", None)
            value = one.value if isinstance(one, ast.Assign | ast.AnnAssign) else None
            if isinstance(target, ast.Name) and value is not None:
                self.attributes[target.id].append(Binding(one, value, node_position(value)))
            if isinstance(target, ast.Name) and isinstance(one, ast.AnnAssign):
                self._fields.setdefault(node.name, []).append(target.id)

    def _bind(self, target: ast.expr, value: ast.expr, statement: ast.stmt) -> None:
        at = node_position(value)
        if isinstance(target, ast.Tuple | ast.List):
            parts = value.elts if isinstance(value, ast.Tuple | ast.List) else []
            for number, one in enumerate(target.elts):
                if len(parts) == len(target.elts):
                    self._bind(one, parts[number], statement)
                else:
                    for name, path in _targets(one, (number,)):
                        self._name(name, Binding(statement, value, at, items=True, path=path))
        elif isinstance(target, ast.Name):
            self._name(target, Binding(statement, value, at))
        elif isinstance(target, ast.Attribute):
            self.attributes[target.attr].append(Binding(statement, value, at))
        elif isinstance(target, ast.Subscript):
            self._put(target.value, statement)

    def _loop(self, target: ast.expr, value: ast.expr, statement: ast.stmt | None, scope: Position) -> None:
        for name, path in _targets(target, ()):
            self._name(name, Binding(statement, value, node_position(value), items=True, path=path, scope=scope))

    def _name(self, name: ast.Name, binding: Binding) -> None:
        function = self._code.source_code.function_around(node_position(name))
        self.names[function, name.id].append(binding)

    def _put(self, holder: ast.expr, statement: ast.stmt) -> None:
        while isinstance(holder, ast.Subscript):
            holder = holder.value
        if isinstance(holder, ast.Attribute):
            self.puts[None, "." + holder.attr].append(statement)
        elif isinstance(holder, ast.Name):
            function = self._code.source_code.function_around(node_position(holder))
            self.puts[function, holder.id].append(statement)

    def _note_fields(self, call: ast.Call) -> None:
        """An object that is made of its fields (`Step(state, reward)`) keeps them as its attributes."""
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        fields = self._fields.get(name, [])
        statement = self._code.statement(node_position(call)) if fields else None
        pairs = [*zip(fields, call.args, strict=False), *((one.arg, one.value) for one in call.keywords)]
        for field, value in pairs if statement is not None else ():
            if field in fields:
                self.attributes[field].append(Binding(statement, value, node_position(value)))


def parameters_of(function: ast.stmt) -> list[str]:
    """The names of a function's parameters, those by position first."""
    if not isinstance(function, FUNCTIONS):
        return []
    return [one.arg for one in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]


def argument_of(function: ast.stmt, name: str, call: ast.Call) -> ast.expr | None:
    """What a call gives a function as a parameter."""
    named = next((one.value for one in call.keywords if one.arg == name), None)
    names = parameters_of(function)
    names = names[1:] if names[:1] and names[0] in _METHODS else names
    if named is not None or name not in names or any(isinstance(one, ast.Starred) for one in call.args):
        return named
    number = names.index(name)
    return call.args[number] if number < len(call.args) else None


def _targets(target: ast.expr, path: tuple[int, ...]) -> Iterator[tuple[ast.Name, tuple[int, ...]]]:
    if isinstance(target, ast.Name):
        yield target, path
    elif isinstance(target, ast.Tuple | ast.List):
        for number, one in enumerate(target.elts):
            yield from _targets(one, (*path, number))

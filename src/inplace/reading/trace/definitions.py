"""What the user's source defines: classes with their methods, functions, what they return, and what they call."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from inplace.facts.called import writes_by_name
from inplace.facts.model import Position, Trace
from inplace.facts.source_code import SourceCode, called_name, node_position
from inplace.reading.trace.place import Place
from inplace.reading.trace.places import Places

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, slots=True)
class Defined:
    """A function or class of the user's, in the source with a number."""

    source: int
    node: FunctionNode | ast.ClassDef


class Definitions:
    """What the sources of one trace define."""

    def __init__(self, trace: Trace, places: Places) -> None:
        self._trace, self._places = trace, places

    def _codes(self) -> Iterator[tuple[int, SourceCode]]:
        yield from enumerate(code.source_code for code in self._places.codes)

    @cached_property
    def loop_names(self) -> frozenset[str]:
        """The variables of `for` loops."""
        loops = [one for _, code in self._codes() for one in code.nodes if isinstance(one, ast.For | ast.AsyncFor)]
        return frozenset(node.id for loop in loops for node in ast.walk(loop.target) if isinstance(node, ast.Name))

    def place(self, source: int, position: Position) -> Place:
        """A range of a source."""
        return self._places.in_source(source, position)

    def place_of(self, one: Defined, node: ast.expr | ast.stmt) -> Place:
        """Where a part of something defined stands."""
        return self.place(one.source, node_position(node))

    def head(self, one: Defined) -> Place:
        """The line with the name of a function or class; a lambda's own place."""
        if isinstance(one.node, ast.Lambda):
            return self.place_of(one, one.node)
        line = one.node.lineno
        text = self._places.codes[one.source].source_code.line(line).encode(errors="replace")
        return self.place(one.source, Position(line, one.node.col_offset, line, len(text.rstrip())))

    def method(self, name: str, *methods: str) -> list[Defined]:
        """The first of some methods that the last class of a name has itself."""
        for source, code in self._codes():
            classes = [one for one in code.nodes if isinstance(one, ast.ClassDef) and one.name == name]
            own = {one.name: one for one in classes[-1].body if isinstance(one, ast.FunctionDef)} if classes else {}
            found = [Defined(source, own[method]) for method in methods if method in own]
            if found:
                return found[:1]
        return []

    def classes(self) -> Iterator[Defined]:
        """Every class."""
        for source, code in self._codes():
            yield from (Defined(source, one) for one in code.nodes if isinstance(one, ast.ClassDef))

    def functions(self, name: str) -> list[Defined]:
        """The functions of a name."""
        return [
            Defined(source, one)
            for source, code in self._codes()
            for one in code.nodes
            if isinstance(one, ast.FunctionDef) and one.name == name
        ]

    def calls_of(self, *names: str) -> Iterator[tuple[int, ast.Call]]:
        """Every call of a function or method of one of some names, with the number of its source."""
        for source, code in self._codes():
            for node in code.nodes:
                if isinstance(node, ast.Call) and called_name(node) in names:
                    yield source, node

    def calls_in(self, one: Defined, name: str) -> list[ast.Call]:
        """The calls of a function or method of a name inside something defined."""
        return [node for node in ast.walk(one.node) if isinstance(node, ast.Call) and called_name(node) == name]

    def given(self, source: int, argument: ast.expr) -> list[Defined]:
        """The functions that an argument of a call stands for: a lambda, or those of its name."""
        if isinstance(argument, ast.Lambda):
            return [Defined(source, argument)]
        name = argument.id if isinstance(argument, ast.Name) else getattr(argument, "attr", "")
        return self.functions(name)

    def results(self, found: Iterable[Defined]) -> list[Place]:
        """Where functions give something out: their `return` statements, and what a lambda computes."""
        places = []
        for one in found:
            if isinstance(one.node, ast.Lambda):
                places.append(self.place_of(one, one.node))
            returned = [node for node in ast.walk(one.node) if isinstance(node, ast.Return) and node.value is not None]
            places += [self.place_of(one, node) for node in returned]
        return places

    def writes_in(self, one: Defined) -> list[Place]:
        """Where a function writes in place, by the form of its statements."""
        return [self.place_of(one, node) for node in ast.walk(one.node) if is_write(node)]  # type: ignore[arg-type]


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The argument that a call gives by a name."""
    return next((one.value for one in call.keywords if one.arg == name), None)


def parameters(one: Defined) -> list[str]:
    """The parameters of a function, without those for itself and its context."""
    if isinstance(one.node, ast.ClassDef):
        return []
    return [arg.arg for arg in (*one.node.args.posonlyargs, *one.node.args.args) if arg.arg not in {"self", "ctx"}]


def is_write(node: ast.AST) -> bool:
    """Whether a statement or call writes in place by its form: `a += b`, `a[0] = b`, `a.add_(b)`, `iadd(a, b)`."""
    if isinstance(node, ast.AugAssign):
        return True
    if isinstance(node, ast.Assign):
        return any(isinstance(target, ast.Subscript) for target in node.targets)
    return isinstance(node, ast.Call) and writes_by_name(node)

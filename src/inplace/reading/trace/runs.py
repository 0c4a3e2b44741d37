"""When a statement ran that made no call: between which of the calls of its function it stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from inplace.facts.model import Position, Stack
from inplace.facts.source_code import FUNCTIONS, LOOPS, SourceCode, node_position
from inplace.reading.trace.history import History
from inplace.reading.trace.places import Places

_MOST = 100_000  # calls of one function that are looked at
_DEEPEST = 3  # functions without calls of their own whose callers are asked instead

_Crossing = tuple[int, Position]


class Runs:
    """The runs of the statements of one trace, each as the step of the last call before it."""

    def __init__(self, history: History, places: Places) -> None:
        self._history, self._places = history, places
        self._calls: dict[tuple[int, ast.stmt | None], list[_Crossing]] = {}
        self._known: dict[tuple[int, ast.stmt], list[int]] = {}
        self._unsure: set[tuple[int, ast.stmt]] = set()

    def of(self, source: int, statement: ast.stmt, depth: int = 0) -> list[int]:
        """The steps behind which a statement ran, in order; -1 for one that ran before every call.

        What stands under a condition may have run less often.
        """
        found = self._known.get((source, statement))
        if found is None:
            found = self._known[source, statement] = self._found(source, statement, depth)
        return found

    def are_sure(self, source: int, statement: ast.stmt) -> bool:
        """Whether a statement ran at each of its runs; not where a loop in its own loop may have gone on instead."""
        self.of(source, statement)
        return (source, statement) not in self._unsure

    def _found(self, source: int, statement: ast.stmt, depth: int) -> list[int]:
        span = node_position(statement)
        code = self._places.codes[source].source_code
        function = code.function_around(span)
        calls = self._calls_in(source, function)
        if not calls:
            return self._by_callers(function, depth) if function is not None and depth < _DEEPEST else []
        loops = [node_position(one) for one in code.statements if isinstance(one, LOOPS)]
        branch = _branch(code.statements_around(span))
        taken = branch is not None and any(branch.holds(at) for _, at in calls)
        if any(span.holds(at) for _, at in calls):
            return list(self._own(span, calls, again=any(loop.holds(span) for loop in loops)))
        way = _Way(code, span, loops, branch if taken else None, is_function=function is not None)
        found = dict(way.crossings(calls))
        if not all(found.values()):
            self._unsure.add((source, statement))
        return list(found)

    def _own(self, span: Position, calls: list[_Crossing], *, again: bool) -> Iterator[int]:
        """The last of each row of calls that a statement makes; in a loop (`again`) each is made once in a row."""
        stacks, made = self._history.columns.stack, set[int]()
        for number, (step, at) in enumerate(calls):
            if not span.holds(at):
                continue
            made.add(stacks[step])
            following = calls[number + 1 : number + 2]
            goes_on = bool(following) and following[0][0] == step + 1 and span.holds(following[0][1])
            if not goes_on or (again and stacks[following[0][0]] in made):
                made.clear()
                yield step

    def _by_callers(self, function: ast.stmt, depth: int) -> list[int]:
        """When the calls of a function ran that makes none itself, by the source."""
        name = self._name_of(function)
        found: set[int] = set()
        for source, code in enumerate(self._places.codes):
            for node in code.source_code.nodes:
                if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name:
                    statement = code.statement(node_position(node))
                    if statement is not None and not isinstance(statement, FUNCTIONS):
                        found.update(self.of(source, statement, depth + 1))
        return sorted(found)

    def _name_of(self, function: ast.stmt) -> str:
        """The name by which a function is called: that of its class for what makes an object."""
        name = getattr(function, "name", "")
        if name not in {"__init__", "__call__", "forward"}:
            return str(name)
        for code in self._places.codes:
            for one in code.source_code.statements:
                if isinstance(one, ast.ClassDef) and function in one.body:
                    return one.name if name == "__init__" else str(name)
        return str(name)

    def _calls_in(self, source: int, function: ast.stmt | None) -> list[_Crossing]:
        """The steps at which a function was running, each with the position in it."""
        key = source, function
        found = self._calls.get(key)
        if found is None:
            columns = self._history.columns
            at = {number: spot for number, stack in enumerate(columns.stacks) if (spot := self._spot(stack, *key))}
            steps = ((step, at[stack]) for step, stack in enumerate(columns.stack) if stack in at) if at else ()
            found = self._calls[key] = [one for one, _ in zip(steps, range(_MOST), strict=False)]
        return found

    def _spot(self, stack: Stack, source: int, function: ast.stmt | None) -> Position | None:
        code = self._places.codes[source].source_code
        for frame in reversed(stack.frames):
            site = self._places.site(frame)
            if site.source == source and code.function_around(site.position) is function:
                return site.position
        return None


def _branch(around: list[ast.stmt]) -> Position | None:
    """The innermost branch of an `if` that the last of some nested statements is in."""
    for outer, inner in zip(reversed(around[:-1]), reversed(around[1:]), strict=True):
        for block in (outer.body, outer.orelse) if isinstance(outer, ast.If) else ():
            if inner in block:
                first, last = node_position(block[0]), node_position(block[-1])
                return Position(first.line, first.column, last.end_line, last.end_column)
    return None


@dataclass(frozen=True, slots=True)
class _Way:
    """The way of a function, or of the source itself, by a statement at `span`.

    In a `branch` in which calls are made one of the two is.
    """

    code: SourceCode
    span: Position
    loops: list[Position]
    branch: Position | None
    is_function: bool

    def crossings(self, calls: list[_Crossing]) -> Iterator[tuple[int, bool]]:
        """The calls behind which it comes by on its way to the next, and whether it surely does."""
        first, at = calls[0]
        if self.span.end <= at.start and (self.branch is None or self.branch.holds(at)):
            yield first - 1, True
        for (step, here), (later, there) in pairwise(calls):
            if self.branch is None or self.branch.holds(here) or self.branch.holds(there):
                passed, sure = self._passed(here, there, is_next=later == step + 1)
                if passed:
                    yield step, sure
        last, at = calls[-1]
        if at.end <= self.span.start and (self.branch is None or self.branch.holds(at)):
            yield last, True

    def _passed(self, here: Position, there: Position, *, is_next: bool) -> tuple[bool, bool]:
        ahead, behind = here.end <= self.span.start, self.span.end <= there.start
        if self.is_function and not is_next:
            return ahead or behind, True  # others were called meanwhile: it had returned
        if _goes_on(self.code, here, there):
            return False, True
        if there.end > here.end and not _goes_on(self.code, there, here):
            return ahead and behind, True
        around = [loop for loop in self.loops if loop.holds(here) and loop.holds(there)]
        passed = (ahead or behind) and (any(loop.holds(self.span) for loop in around) or (not around and there != here))
        return passed, not around or max(around, key=lambda loop: loop.start).holds(self.span)


def _goes_on(code: SourceCode, here: Position, there: Position) -> bool:
    """Whether a statement comes from one of its expressions to another that is evaluated behind it, whatever the text.

    An operator comes behind its operands, and an item is assigned behind all that stands in its line.
    """
    statement = code.statement(here)
    if statement is None or there == here or statement not in code.simple or not node_position(statement).holds(there):
        return False
    if isinstance(statement, ast.Assign):
        targets = [node_position(one) for one in statement.targets]
        return there.holds(here) or (
            any(one.holds(there) for one in targets) and node_position(statement.value).holds(here)
        )
    if isinstance(statement, ast.AugAssign) and here == node_position(statement):
        return there == node_position(statement.target)
    return there.holds(here)

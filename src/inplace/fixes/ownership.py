"""Whether a variable may be given a tensor of its own at a statement: who else has the old one, and reads it later.

NOTE [ A name that is given another tensor ]
Out of place, or behind a clone, the write goes to a new tensor, and only who reads it by the name that is assigned sees
it. So every later read of the old tensor that the trace shows has to come by that name: in the same function, in one
that it is handed to, or in one that the function gives it back to. No other tensor over the bytes may be read later,
and no other name of them may stand in the code that could still run: code behind an error was never seen to run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Call, Position, StackFrame, TensorId
from inplace.facts.source_code import LOOPS, SourceCode, node_position, positional
from inplace.fixes.statement import FUNCTIONS, Statement
from inplace.reading.source.code import root_of
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index

_MOST = 2000  # tensors over the bytes of one that are looked at; where there are more, nothing is said
_DEEPEST = 6  # calls of the user's functions that a tensor is followed through
_LIKE_SELF = ("self", "cls")
_KEEPING = frozenset({"append", "appendleft", "add", "extend", "insert", "setdefault", "put", "update"})


@dataclass(frozen=True, slots=True)
class _Spot:
    """A text in a function of the user's, or the one call expression at a position, that stands for the new tensor."""

    source: int
    function: str
    text: str | None
    position: Position | None = None


class Ownership:
    """What may be told of the tensors that one statement writes to."""

    def __init__(self, index: Index, site: Statement, writes: list[Write]) -> None:
        self._index, self._site = index, site
        self._writes = writes
        self._span = node_position(site.statement)

    def is_seen_by_all(self, name: str | None, tensors: list[TensorId]) -> bool:
        """Whether giving `name` a new tensor at the statement is seen by all who read what it wrote.

        Args:
            name: the variable or attribute that is assigned; None where the statement only passes the result on.
            tensors: for each write the tensor that is replaced.
        """
        if not self._writes or len(tensors) < len(self._writes) or (name is not None and self._is_loop_variable(name)):
            return False
        if name is not None and self._escapes(name):
            return False
        spots = set(self._spots(name))
        renamed = {name or ""} | {spot.text for spot in spots if spot.text is not None}
        return all(
            self._is_read_by(spots, write, tensor)
            and not self._has_other_names(renamed, write, tensor)
            and not self._is_read_through_another(write, tensor)
            for write, tensor in zip(self._writes, tensors, strict=False)
        )

    # ------------------------------------------------------------ who sees the new tensor

    def _spots(self, name: str | None) -> Iterator[_Spot]:
        """Where the new tensor is: the name in its function, and what callers get of it."""
        stack = self._writes[0].call.stack.frames
        texts = set() if name is None else {name}
        is_returned = isinstance(self._site.statement, ast.Return)
        for depth, frame in enumerate(stack[:_DEEPEST]):
            site = self._index.places.site(frame)
            for text in texts:
                yield _Spot(site.source, site.function, text)
            if depth + 1 == len(stack) or not (is_returned or self._gives_back(frame, texts)):
                return
            caller = self._index.places.site(stack[depth + 1])
            yield _Spot(caller.source, caller.function, None, caller.position)
            code = self._code(caller.source)
            statement = code.statement(caller.position)
            is_returned = isinstance(statement, ast.Return) and statement.value is code.node(caller.position)
            texts = set() if statement is None else _targets(statement, code.node(caller.position))

    def _gives_back(self, frame: StackFrame, texts: set[str]) -> bool:
        """Whether the function that a frame is in returns one of some names."""
        site = self._index.places.site(frame)
        function = self._function(site.source, site.position)
        returned = [one.value for one in ast.walk(function) if isinstance(one, ast.Return)] if function else []
        parts = [part for value in returned if value is not None for part in _parts(value)]
        return any(ast.unparse(part) in texts for part in parts)

    # ------------------------------------------------------------ who reads

    def _is_read_by(self, spots: set[_Spot], write: Write, tensor: TensorId) -> bool:
        columns, sightings = self._index.history.columns, self._index.history.sightings.get(tensor, ())
        first = {columns.stack[step]: step for step, _ in reversed(sightings) if step > write.call.step}
        calls = [self._index.trace.calls[step] for step in first.values()]
        return all(self._is_own(call) or self._reads(spots, call) for call in calls)

    def _is_own(self, call: Call) -> bool:
        """Whether a call is made by the statement itself, by whatever frames."""
        place = self._index.places.of(call)
        return place is not None and place.file == self._site.file and self._span.holds(place.position)

    def _reads(self, spots: set[_Spot], call: Call) -> bool:
        """Whether a call is given the new tensor: one of its operands is, or what a caller handed to its function."""
        wanted: set[str] | None = None
        callee: ast.FunctionDef | ast.AsyncFunctionDef | None = None
        for frame in call.stack.frames[:_DEEPEST]:
            site = self._index.places.site(frame)
            if _Spot(site.source, site.function, None, site.position) in spots:
                return True
            node = self._code(site.source).node(site.position)
            operands = list(operands_of(node)) if wanted is None else list(_handed(node, callee, wanted))
            for operand in operands:
                text = _Spot(site.source, site.function, ast.unparse(operand))
                if text in spots or _Spot(site.source, site.function, None, node_position(operand)) in spots:
                    return True
            callee = self._function(site.source, site.position)
            wanted = {one.id for one in operands if isinstance(one, ast.Name)} & set(parameters(callee))
            if not wanted:
                return False
        return False

    # ------------------------------------------------------------ who else has it

    def _is_read_through_another(self, write: Write, tensor: TensorId) -> bool:
        """Whether a tensor that was there before the write, and shares bytes with it, goes into a later call."""
        index, step, columns = self._index, write.call.step, self._index.history.columns
        others = index.history.tensors_of.get(write.before.storage, ()) if write.before.storage is not None else ()
        if not others or len(others) > _MOST:
            return True
        for other in others:
            if other == tensor or index.trace.tensors[other].first_seen > step:
                continue
            seen = index.history.sightings.get(other, ())
            before = [state for at, state in seen if at <= step]
            first = {columns.stack[at]: at for at, _ in seen if at > step}
            later = any(not self._is_own(index.trace.calls[at]) for at in first.values())
            if before and later and index.overlaps.of(index.trace.states[before[-1]], write.before):
                return True
        return False

    def _has_other_names(self, renamed: set[str], write: Write, tensor: TensorId) -> bool:
        """Whether another name of the bytes stands in code that may run after the statement.

        A name that a tensor was seen under may stand anywhere; one that the source gave it, in the function that did,
        unless that has ended.
        """
        index, storage = self._index, write.before.storage
        own = {name.rpartition(".")[2] for name in renamed}
        for other in index.history.tensors_of.get(storage, ()) if storage is not None else ():
            about = index.trace.tensors[other]
            alive = about.first_seen <= write.call.step and (about.died is None or about.died > write.call.step)
            if other != tensor and not (alive and self._overlaps(other, write)):
                continue
            given = index.names.given.get(other, ())
            for one in index.names.of(other):
                is_own = one in renamed or (one.rpartition(".")[2] in own and "." in one)
                local = one in given and one not in index.names.seen.get(other, ())
                if not is_own and (not local or self._is_on_stack(other, write)) and self.is_loaded_later(one):
                    return True
        return False

    def _is_on_stack(self, tensor: TensorId, write: Write) -> bool:
        """Whether the function that made a tensor is running when the write is made."""
        maker = self._index.history.maker(tensor, write.call.step)
        if maker is None or not maker.stack.frames:
            return True
        made = self._index.places.site(maker.stack.frames[0])
        sites = [self._index.places.site(frame) for frame in write.call.stack.frames]
        return any((made.source, made.function) == (site.source, site.function) for site in sites)

    def _overlaps(self, other: TensorId, write: Write) -> bool:
        state = self._index.history.last_state(other)
        return state is not None and self._index.overlaps.of(state, write.before)

    def is_loaded_later(self, name: str) -> bool:
        """Whether a name is read in the source where it may be run after the statement."""
        source = self._site.source_code
        root, last = root_of(name), name.rpartition(".")[2].partition("[")[0]
        for node in source.nodes:
            same = (isinstance(node, ast.Name) and node.id == root and isinstance(node.ctx, ast.Load)) or (
                "." in name and isinstance(node, ast.Attribute) and node.attr == last and isinstance(node.ctx, ast.Load)
            )
            if same and isinstance(node, ast.expr) and not self._is_passed(node_position(node)):
                return True
        return False

    def _is_passed(self, at: Position) -> bool:
        """Whether a piece of code is the statement itself, or behind us once the statement runs."""
        if self._span.holds(at) or self._is_passed_above(at):
            return True
        around = self._site.source_code.statements_around(self._span)
        functions = [one for one in around if isinstance(one, FUNCTIONS)]
        scope = node_position(functions[-1]) if functions else None
        loops = [node_position(one) for one in around if isinstance(one, LOOPS)]
        inside = scope is None or scope.holds(at)
        elsewhere = [one for one in self._site.source_code.statements_around(at) if isinstance(one, FUNCTIONS)]
        same_function = elsewhere[-1:] == functions[-1:]
        return same_function and inside and at.end <= self._span.start and not any(loop.holds(at) for loop in loops)

    def _is_passed_above(self, at: Position) -> bool:
        """Whether a piece of code is behind us in a function that waits for the one which the statement is in."""
        code, source = self._site.source_code, self._source
        function = code.function_around(at)
        for write in self._writes or ():
            sites = [self._index.places.site(frame) for frame in write.call.stack.frames[1:]]
            own = [one for one in sites if one.source == source and code.function_around(one.position) is function]
            inner = code.function_around(self._span)
            if not own or function is inner:
                return False
            loops = [one for one in code.statements_around(own[0].position) if isinstance(one, LOOPS)]
            around = any(node_position(one).holds(at) for one in loops)
            if around or not (own[0].position.holds(at) or at.end <= own[0].position.start):
                return False
        return bool(self._writes)

    @property
    def _source(self) -> int | None:
        frames = self._writes[0].call.stack.frames if self._writes else ()
        sites = [self._index.places.site(frame) for frame in frames]
        own = [one.source for one in sites if self._index.trace.sources[one.source].file == self._site.file]
        return own[0] if own else None

    def _is_loop_variable(self, name: str) -> bool:
        around = self._site.source_code.statements_around(self._span)
        heads = [one.target for one in around if isinstance(one, ast.For | ast.AsyncFor)]
        return any(isinstance(one, ast.Name) and one.id == name for head in heads for one in ast.walk(head))

    def _escapes(self, name: str) -> bool:
        """Whether the function puts the tensor of a name where others find it: a container, an attribute, a closure."""
        function = self._function_of_statement()
        scope: ast.AST = function if function is not None else self._site.source_code.tree
        for node in ast.walk(scope):
            if isinstance(node, ast.stmt) and self._span.holds(node_position(node)):
                continue
            if any(ast.unparse(one) == name for one in _kept(node)):
                return True
        return False

    def _function_of_statement(self) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        around = self._site.source_code.statements_around(self._span)
        functions = [one for one in around if isinstance(one, FUNCTIONS)]
        return functions[-1] if functions else None

    def _code(self, source: int) -> SourceCode:
        return self._index.places.codes[source].source_code

    def _function(self, source: int, position: Position) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        functions = [one for one in self._code(source).statements_around(position) if isinstance(one, FUNCTIONS)]
        return functions[-1] if functions else None


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef | None) -> list[str]:
    """The positional parameters of a function, without the instance of a method."""
    if function is None:
        return []
    names = positional(function)
    return names[1:] if names[:1] and names[0] in _LIKE_SELF else names


def _handed(
    node: ast.AST | None, callee: ast.FunctionDef | ast.AsyncFunctionDef | None, wanted: set[str]
) -> Iterator[ast.expr]:
    """What a call hands to some parameters of the function it calls."""
    if not isinstance(node, ast.Call) or any(isinstance(one, ast.Starred) for one in node.args):
        return
    for parameter, argument in zip(parameters(callee), node.args, strict=False):
        if parameter in wanted:
            yield argument
    yield from (keyword.value for keyword in node.keywords if keyword.arg in wanted)


def operands_of(node: ast.AST | None) -> Iterator[ast.expr]:
    """What an expression reads: arguments, the receiver of a method, both sides of an operator."""
    if isinstance(node, ast.Call):
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        for one in given:
            yield from _parts(one)
        if isinstance(node.func, ast.Attribute):
            yield node.func.value
    elif isinstance(node, ast.Assign):
        yield node.value
        for target in node.targets:
            yield from operands_of(target)
    elif isinstance(node, ast.Name):
        yield node
    elif isinstance(node, ast.For | ast.AsyncFor):
        yield node.iter
    elif node is not None:
        yield from (one for one in ast.iter_child_nodes(node) if isinstance(one, ast.expr))


def _parts(node: ast.expr) -> list[ast.expr]:
    """The items of a list or tuple that is written out, else the expression itself."""
    return list(node.elts) if isinstance(node, ast.List | ast.Tuple) else [node]


def _targets(statement: ast.stmt, value: ast.AST | None) -> set[str]:
    """The names that a statement gives to a value, or to its items."""
    if not isinstance(statement, ast.Assign) or statement.value is not value:
        return set()
    return {ast.unparse(part) for target in statement.targets for part in _parts(target)}


def _kept(node: ast.AST) -> Iterator[ast.expr]:
    """What a piece of code puts where others may find it."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _KEEPING:
        yield from node.args
    elif (isinstance(node, ast.Assign) and not isinstance(node.value, ast.Call | ast.BinOp)) or (
        isinstance(node, ast.Yield) and node.value is not None
    ):
        yield from _parts(node.value)
    elif isinstance(node, ast.Dict):
        yield from node.values
    elif isinstance(node, ast.Lambda):
        yield from (one for one in ast.walk(node.body) if isinstance(one, ast.expr))

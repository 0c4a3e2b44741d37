"""Where the user's variables went into calls: by every frame of a call's stack, as each spelled what it handed on."""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from inplace.facts.model import Call, Position, Stack, TensorId
from inplace.facts.source_code import node_position, positional
from inplace.reading.source.code import Code
from inplace.reading.trace.index import Index
from inplace.reading.trace.spelled import is_path

_DEEPEST = 12  # frames of a stack that are looked at
_OF_A_LINE = 64  # mentions of one line that are asked what they took


@dataclass(frozen=True, slots=True)
class Mention:
    """A call under a line that handed a variable on; `position` is that of the line's expression."""

    step: int
    depth: int
    position: Position


class Mentions:
    """The mentions of some variables, each by its source and text (`self.best`, `out['features']`).

    Args:
        index: of the trace.
        wanted: the texts that are looked for, by the number of their source.
    """

    def __init__(self, index: Index, wanted: dict[int, set[str]]) -> None:
        self._index = index
        self._found: dict[tuple[int, str], list[Mention]] = {}
        columns = index.history.columns
        by_stack = [list(self._of_stack(stack, wanted)) for stack in columns.stacks] if wanted else []
        if any(by_stack):
            for step, stack in enumerate(columns.stack):
                for key, depth, position in by_stack[stack]:
                    self._found.setdefault(key, []).append(Mention(step, depth, position))

    def _of_stack(self, stack: Stack, wanted: dict[int, set[str]]) -> Iterator[tuple[tuple[int, str], int, Position]]:
        for depth, frame in enumerate(stack.frames[:_DEEPEST]):
            site = self._index.places.site(frame)
            texts = wanted.get(site.source)
            if texts:
                code = self._index.places.codes[site.source]
                for text in _handed_on(code, site.position):
                    if text in texts:
                        yield (site.source, text), depth, site.position

    def of(self, source: int, text: str, after: int = -1) -> list[Mention]:
        """The mentions of a variable in calls behind a step, in order."""
        found = self._found.get((source, text), [])
        return found[bisect_right(found, after, key=lambda one: one.step) :]

    def known(self, found: Sequence[Mention], text: str) -> list[TensorId]:
        """What a variable itself was in some mentions: in the first of each line, however often that ran."""
        times: Counter[tuple[Position, int]] = Counter()
        tensors: list[TensorId] = []
        for one in found:
            key = one.position, one.depth
            times[key] += 1
            if times[key] <= _OF_A_LINE:
                tensors += self.exact(one, text)
        return tensors

    def took(self, mention: Mention, tensor: TensorId) -> bool:
        """Whether the call of a mention was given a tensor."""
        return tensor in self.tensors(mention)

    def tensors(self, mention: Mention) -> Collection[TensorId]:
        """What the call of a mention was given."""
        columns, tensors = self._index.history.columns, self._index.history.tensors_by_state
        first, last = columns.begins[mention.step], columns.begins[mention.step + 1]
        return [tensors[state] for state in columns.before[first:last]]

    def exact(self, mention: Mention, text: str) -> list[TensorId]:
        """What a variable itself was in a mention: its line's own call, or one that has it as a parameter.

        A module of a library that is given one variable gives it to its first call.
        """
        call = self.call(mention)
        if mention.depth > 1:
            return []
        bound = self._bound(call, mention, text) if mention.depth else text
        if bound is None:
            return []
        return self._spelled(call, bound) if self._index.spelled.of(call) else self._given_to_module(call, bound)

    def _spelled(self, call: Call, text: str) -> list[TensorId]:
        given = [one for one in call.inputs if self._index.spelled.text(call, one.path) == text]
        return [self._index.trace.states[one.before].tensor for one in given]

    def _given_to_module(self, call: Call, text: str) -> list[TensorId]:
        node, entry = self._index.places.node_at(call.stack.frames[0]), call.stack.frames[0].entry or ""
        columns, step = self._index.history.columns, call.step
        first = step == 0 or columns.stack[step - 1] != columns.stack[step]
        if not first or not entry.startswith("Module.") or not isinstance(node, ast.Call) or len(node.args) != 1:
            return []
        if ast.unparse(node.args[0]) != text or not call.inputs or call.inputs[0].path not in {"0", "input"}:
            return []
        return [self._index.trace.states[call.inputs[0].before].tensor]

    def _bound(self, call: Call, mention: Mention, text: str) -> str | None:
        """The parameter under which the function that was called has a variable, if it gives that no other value."""
        node, site = (
            self._index.places.node_at(call.stack.frames[mention.depth]),
            self._index.places.site(call.stack.frames[0]),
        )
        code = self._index.places.codes[site.source]
        function = code.source_code.function_around(site.position)
        if not isinstance(node, ast.Call) or function is None:
            return None
        parameters = positional(function)
        parameters = parameters[1:] if parameters[:1] == ["self"] else parameters
        texts = [ast.unparse(one) for one in node.args]
        if text not in texts or texts.index(text) >= len(parameters):
            return None
        found = parameters[texts.index(text)]
        stored = [one for one in code.source_code.names.get(found, ()) if isinstance(one.ctx, ast.Store)]
        inside = [one for one in stored if node_position(function).holds(node_position(one))]
        return (
            None if any(not isinstance(code.statement(node_position(one)), ast.AugAssign) for one in inside) else found
        )

    def call(self, mention: Mention) -> Call:
        """The call of a mention."""
        return self._index.trace.calls[mention.step]


def _handed_on(code: Code, position: Position) -> Iterator[str]:
    """The variables that an expression hands on to what it calls."""
    node = code.source_code.node(position)
    parts: list[ast.expr] = []
    if isinstance(node, ast.Call):
        parts = [*node.args, *(keyword.value for keyword in node.keywords)]
        parts += [node.func.value] if isinstance(node.func, ast.Attribute) else []
        parts.append(node.func)
    elif isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    elif isinstance(node, ast.AugAssign):
        parts = [node.target, node.value]
    elif isinstance(node, ast.Compare):
        parts = [node.left, *node.comparators]
    elif isinstance(node, ast.UnaryOp):
        parts = [node.operand]
    elif isinstance(node, ast.Subscript):
        parts = [node, node.value]
        statement = code.statement(position)
        if isinstance(statement, ast.Assign) and statement.targets[0] is node:
            parts.append(statement.value)
    elif isinstance(node, ast.Attribute):
        parts = [node, node.value]
    elif isinstance(node, ast.Name):
        parts = [node]
    for part in parts:
        inside = part.elts if isinstance(part, ast.List | ast.Tuple) else [part]
        yield from (ast.unparse(one) for one in inside if is_path(one))

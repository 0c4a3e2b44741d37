"""What the source calls tensors, optimizers and modules where it says no more of them than their name."""

from __future__ import annotations

import ast
from functools import cached_property

from inplace.facts.model import Act, Position, TensorId
from inplace.facts.source_code import node_position
from inplace.reading.trace.index import Index
from inplace.reading.trace.mentions import Mention, Mentions

_CLEARED_OR_STEPPED = frozenset({"step", "zero_grad"})
_LISTING = frozenset({"parameters", "named_parameters", "buffers", "named_buffers"})


class KnownReceivers:
    """Tells of variables of one trace what they stand for, by what was seen of them in the function they are in.

    Args:
        index: of the trace.
        texts: the variables that will be asked for, by the number of their source.
    """

    def __init__(self, index: Index, texts: dict[int, set[str]]) -> None:
        self._index = index
        self._mentions = Mentions(index, texts)

    def is_tensor(self, source: int, text: str, position: Position) -> bool:
        """Whether a variable is a tensor in the function around a range: a call took it, or gave it out."""
        found = self._mentioned(source, text, position)
        return bool(self._mentions.known(found, text)) or self._is_result(source, text, position)

    def _mentioned(self, source: int, text: str, position: Position) -> list[Mention]:
        """The mentions of a variable in the function around a range; those of an attribute anywhere."""
        code = self._index.places.codes[source].source_code
        function = code.function_around(position)
        every = self._mentions.of(source, text)
        return [one for one in every if "." in text or code.function_around(one.position) is function]

    def is_listed(self, source: int, text: str, position: Position) -> bool:
        """Whether a variable is that of a loop over the parameters of a module."""
        code = self._index.places.codes[source].source_code
        for loop in code.statements_around(position):
            names = ast.walk(loop.target) if isinstance(loop, ast.For) else ()
            if isinstance(loop, ast.For) and any(isinstance(one, ast.Name) and one.id == text for one in names):
                calls = [one for one in ast.walk(loop.iter) if isinstance(one, ast.Call)]
                return any(isinstance(one.func, ast.Attribute) and one.func.attr in _LISTING for one in calls)
        return False

    def _is_result(self, source: int, text: str, position: Position) -> bool:
        """Whether a variable is assigned, in the same function, what a call gave out."""
        code = self._index.places.codes[source].source_code
        function = code.function_around(position)
        for at in self._index.places.codes[source].assignments(text):
            statement = code.statement(at)
            value = statement.value if isinstance(statement, ast.Assign) else None
            same = "." in text or code.function_around(at) is function
            if value is not None and same and (source, node_position(value)) in self._results:
                return True
        return False

    @cached_property
    def _results(self) -> set[tuple[int, Position]]:
        """Where calls of the user's own gave out one tensor."""
        columns, sites = self._index.history.columns, self._index.places
        stacks = {stack for stack, count in zip(columns.stack, columns.output_count, strict=True) if count == 1}
        heads = [columns.stacks[stack].frames[0] for stack in stacks if columns.stacks[stack].frames]
        return {(sites.site(head).source, sites.site(head).position) for head in heads if head.entry is None}

    def tensors(self, source: int, text: str, position: Position) -> tuple[TensorId, ...]:
        """The tensors that a variable was seen to be in the function around a range: handed on, or given out to it."""
        found = self._mentioned(source, text, position)
        given = [tensor for tensor, names in self._index.names.given.items() if text in names]
        return tuple(dict.fromkeys([*self._mentions.known(found, text), *given]))

    def is_module(self, source: int, text: str) -> bool:
        """Whether a variable was called as a module."""
        return (source, text) in self._modules

    @cached_property
    def _modules(self) -> set[tuple[int, str]]:
        found: set[tuple[int, str]] = set()
        frames = {frame for stack in self._index.history.columns.stacks for frame in stack.frames}
        for frame in frames:
            if frame.entry is not None and frame.entry.startswith("Module."):
                node = self._index.places.node_at(frame)
                if isinstance(node, ast.Call):
                    found.add((self._index.places.site(frame).source, ast.unparse(node.func)))
        return found

    def is_optimizer(self, source: int, text: str) -> bool:
        """Whether a variable is an optimizer: it was built under that name, or cleared or stepped under it."""
        return (source, text) in self._optimizers or any(one.name == text for one in self._index.trace.optimizers)

    @cached_property
    def _optimizers(self) -> set[tuple[int, str]]:
        found: set[tuple[int, str]] = set()
        stacks = {act.stack for act in self._index.trace.acts if act.act in {Act.BUILT, Act.CLEARED, Act.STEPPED}}
        for frame in {frame for stack in stacks for frame in stack.frames}:
            site = self._index.places.site(frame)
            code = self._index.places.codes[site.source]
            node = code.source_code.node(site.position)
            method = node.func if isinstance(node, ast.Call) else None
            if isinstance(method, ast.Attribute) and method.attr in _CLEARED_OR_STEPPED:
                found.add((site.source, ast.unparse(method.value)))
            elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2][:1].isupper():
                found.update((site.source, name) for name in code.assigned_from(site.position))
        return found

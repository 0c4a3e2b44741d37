"""Statements that do nothing: assignments to what nobody reads, and methods that are named and not called.

They are found by the source, and told where it is known from what was seen what their receiver is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inplace.facts.model import Act, Kind, Position, Source, TensorId
from inplace.facts.source_code import SourceCode, node_position
from inplace.facts.spelling import FLAG, is_nearly_flag
from inplace.reading.source.code import Code
from inplace.reading.trace.index import Index
from inplace.reading.trace.known_receivers import KnownReceivers
from inplace.reading.trace.lineage import lineage
from inplace.reading.trace.place import Place

_OF_OPTIMIZERS = frozenset({"step", "zero_grad"})
_OF_MODULES = frozenset({"eval", "train"})
_OPTIONS = frozenset(
    [
        *("lr", "learning_rate", "momentum", "weight_decay", "betas", "eps", "alpha", "dampening", "nesterov", "rho"),
        *("amsgrad", "maximize", "lr_decay", "momentum_decay", "max_iter"),
    ]
)
_TIMED = ("perf_counter", "time.time", "process_time", "timeit", "profile", "synchronize")
How = Literal["method", "flag", "spelling", "option", "uncalled"]


@dataclass(frozen=True, slots=True)
class Idle:
    """A statement that does nothing; `attribute` is what it names, `tensors` are those that it leaves as they were."""

    place: Place
    how: How
    receiver: str
    attribute: str
    tensors: tuple[TensorId, ...]


@dataclass(frozen=True, slots=True)
class _Statement:
    """A statement that may do nothing: `target` is the attribute that it sets, or names."""

    source: int
    statement: ast.Assign | ast.Expr
    target: ast.Attribute

    @property
    def receiver(self) -> str:
        return ast.unparse(self.target.value)

    @property
    def position(self) -> Position:
        return node_position(self.statement)


def idle_statements(index: Index) -> Iterator[Idle]:
    """Yield the statements that do nothing, in the order of the source."""
    found = [one for number, code in enumerate(index.places.codes) for one in _statements(number, code)]
    if not found:
        return
    texts: dict[int, set[str]] = {}
    for one in found:
        texts.setdefault(one.source, set()).add(one.receiver)
    known = KnownReceivers(index, texts)
    tell = _Telling(index, known)
    told = [(one, how) for one in found if (how := tell.how(one)) is not None]
    options = [one for one, how in told if how == "option"]  # somebody set one: which of these lines did?
    certain = [one for one in options if known.is_optimizer(one.source, one.receiver)]
    of_optimizers = certain or (options if len(options) == 1 else [])
    for one, how in told:
        if how != "option" or one in of_optimizers:
            source, code = index.trace.sources[one.source], index.places.codes[one.source]
            yield Idle(_place(source, code, one.position), how, one.receiver, one.target.attr, tell.left(one, how))


def flags_behind(index: Index) -> tuple[Idle, ...]:
    """The statements that were to set a flag, had another spelling, and cost the backward that raised its path."""
    ending = index.ending
    call = ending.call if ending is not None and ending.what == "no path" else None
    if call is None or call.function.kind is not Kind.BACKWARD or not call.inputs:
        return ()
    misspelled = [one for one in idle_statements(index) if is_nearly_flag(one.attribute)]
    root = index.trace.states[call.inputs[0].before].tensor
    behind = lineage(index, root, call.step).unknown if misspelled else {}
    return tuple(one for one in misspelled if not behind.keys().isdisjoint(one.tensors))


def _statements(number: int, code: Code) -> Iterator[_Statement]:
    """The statements that only set, or only name, an attribute."""
    tree = code.source_code
    for statement in tree.simple_statements:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Attribute):
            target = statement.targets[0]
            named = target.attr in _OPTIONS or target.attr in _OF_MODULES or target.attr == FLAG
            if named or is_nearly_flag(target.attr) or _is_in_place(target):
                yield _Statement(number, statement, target)
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Attribute):
            target = statement.value
            named = target.attr in _OF_OPTIMIZERS or target.attr in _OF_MODULES
            named = named or target.attr == "backward" or _is_in_place(target)
            if named and not is_shown_or_tried(code, statement):
                yield _Statement(number, statement, target)


def is_shown_or_tried(code: Code, statement: ast.stmt) -> bool:
    """Whether a cell shows what a statement is, being its last, or it is there to be tried."""
    tree = code.source_code
    around = tree.statements_around(node_position(statement))
    return statement is tree.tree.body[-1] or any(isinstance(one, ast.Try) for one in around[-2:])


def is_timed(source: SourceCode, statement: ast.stmt) -> bool:
    """Whether somebody measures how long a statement takes, and wants nothing else of it."""
    around = source.statements_around(node_position(statement))
    beside = [*source.block_of(statement), *(one for one in around[:-1] if isinstance(one, ast.With))]
    heads = [source.line(one.lineno) for one in beside if one is not statement]
    return any(word in line for line in heads for word in _TIMED)


def _is_in_place(target: ast.Attribute) -> bool:
    return target.attr.endswith("_") and not target.attr.startswith("_") and not target.attr.endswith("__")


class _Telling:
    """Tells what was seen of the receivers of such statements."""

    def __init__(self, index: Index, known: KnownReceivers) -> None:
        self._index, self._known = index, known
        self._flagged = _numbers(index, Act.UNREAD)
        self._optimized = _numbers(index, Act.OPTION)
        self._sites: dict[Kind, set[tuple[int, Position]]] = {}

    def left(self, one: _Statement, how: How) -> tuple[TensorId, ...]:
        """The tensors that a statement leaves as they were."""
        if is_nearly_flag(one.target.attr):
            return self._known.tensors(one.source, one.receiver, one.position)
        return self._flagged if how == "flag" else self._optimized if how == "option" else ()

    def how(self, one: _Statement) -> How | None:
        """How a statement does nothing; None where it may do something."""
        source, attribute, target = one.source, one.target.attr, node_position(one.target)
        if isinstance(one.statement, ast.Expr):
            return "uncalled" if self._is_known(one) else None
        if attribute == FLAG:
            return "flag" if self._flagged and (source, target) not in self._at(Kind.SETTER) else None
        if attribute in _OF_MODULES:
            return "method" if self._known.is_module(source, one.receiver) else None
        if is_nearly_flag(attribute):
            listed = self._known.is_listed(source, one.receiver, one.position)
            return "spelling" if listed or self._is_tensor(one) else None
        if _is_in_place(one.target):
            read = (source, node_position(one.target.value)) in self._at(Kind.GETTER)
            return "method" if read or self._is_tensor(one) else None
        return "option" if self._optimized and one.receiver not in {"self", "cls"} else None

    def _is_known(self, one: _Statement) -> bool:
        if one.target.attr in _OF_OPTIMIZERS:
            return self._known.is_optimizer(one.source, one.receiver)
        if one.target.attr in _OF_MODULES:
            return self._known.is_module(one.source, one.receiver)
        return self._is_tensor(one)

    def _is_tensor(self, one: _Statement) -> bool:
        return self._known.is_tensor(one.source, one.receiver, one.position)

    def _at(self, kind: Kind) -> set[tuple[int, Position]]:
        """Where attributes of tensors were read, or set, by the user's own lines."""
        if kind not in self._sites:
            columns, found = self._index.history.columns, set[tuple[int, Position]]()
            stacks = {columns.stack[step] for step in columns.steps_of(lambda function: function.kind is kind)}
            for stack in stacks:
                for frame in columns.stacks[stack].frames[:1]:
                    site = self._index.places.site(frame)
                    found.add((site.source, site.position))
            self._sites[kind] = found
        return self._sites[kind]


def _numbers(index: Index, kind: Act) -> tuple[TensorId, ...]:
    found = dict.fromkeys(number for act in index.trace.acts if act.act is kind for number in act.numbers)
    return tuple(map(TensorId, found))


def _place(source: Source, code: Code, position: Position) -> Place:
    return Place(source.label, source.file, position, code.text(position), None)

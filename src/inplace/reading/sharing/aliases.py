"""Two names for one tensor: a name that is given to what another stands for, in the source, and seen so in calls."""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Call, Position, TensorId, TensorState
from inplace.facts.source_code import node_position
from inplace.reading.source.code import Code
from inplace.reading.trace.changes import changes_values
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.mentions import Mention, Mentions
from inplace.reading.trace.place import Place
from inplace.reading.trace.spelled import is_path

_READS = 256  # calls behind a write that are asked what they took
_MOST = 400  # assignments of one name to another that are looked at in one source


@dataclass(frozen=True, slots=True)
class Alias:
    """An assignment that gives what one name stands for another: `kept = name`, or `kept = function(name)`.

    It is `local` where both are variables of one function, or of the cell; `called` where a function may give back what
    it was given.
    """

    source: int
    position: Position
    kept: str
    name: str
    function: ast.stmt | None
    local: bool
    called: bool = False


@dataclass(frozen=True, slots=True)
class AliasRead:
    """A tensor that was given a second name at `keep`, written under one, and read under the other, `shown`.

    `is_meant_apart` is whether a function has two variables of its own for it, which are used one after the other.
    """

    keep: Place
    write: Write
    read: Call
    reader: Place
    state: TensorState
    shown: str
    is_meant_apart: bool


def alias_reads(index: Index) -> Iterator[AliasRead]:
    """Yield the tensors that were written under one of two names and read under the other, once for each assignment."""
    found = [alias for number, code in enumerate(index.places.codes) for alias in _aliases(number, code)]
    if not found or not index.history.writes_to:
        return
    wanted: dict[int, set[str]] = {}
    for alias in found:
        wanted.setdefault(alias.source, set()).update((alias.kept, alias.name))
    mentions = Mentions(index, wanted)
    for alias in found:
        one = _read_of(index, mentions, alias)
        if one is not None:
            yield one


def _aliases(number: int, code: Code) -> Iterator[Alias]:
    left = _MOST
    for statement in code.source_code.simple_statements:
        for target, value in pairs_assigned(statement):
            if left and is_path(target) and is_path(value) and ast.unparse(target) != ast.unparse(value):
                left -= 1
                at = node_position(statement)
                local = isinstance(target, ast.Name) and isinstance(value, ast.Name)
                function = code.source_code.function_around(at)
                yield Alias(number, at, ast.unparse(target), ast.unparse(value), function, local)
            for name in _handed(target, value) if left else ():
                left -= 1
                at = node_position(statement)
                function = code.source_code.function_around(at)
                yield Alias(number, at, ast.unparse(target), name, function, local=True, called=True)


def pairs_assigned(statement: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The targets of an assignment, each with what it is given, where that is written out."""
    if not isinstance(statement, ast.Assign):
        return
    for target in statement.targets:
        if isinstance(target, ast.Tuple) and isinstance(statement.value, ast.Tuple):
            yield from zip(target.elts, statement.value.elts, strict=False)
        else:
            yield target, statement.value


def _handed(target: ast.expr, value: ast.expr) -> list[str]:
    """The variables that an assignment hands to a function of which it keeps the result: not one that ends in `_`."""
    if not isinstance(value, ast.Call) or not isinstance(target, ast.Name):
        return []
    if ast.unparse(value.func).endswith("_"):
        return []
    return [one.id for one in value.args if isinstance(one, ast.Name) and one.id != target.id]


def _read_of(index: Index, mentions: Mentions, alias: Alias) -> AliasRead | None:
    """The first read of a tensor under one name after a write under the other."""
    code = index.places.codes[alias.source]
    kept = [one for one in mentions.of(alias.source, alias.kept) if _is_in_scope(code, alias, alias.kept, one)]
    named = [one for one in mentions.of(alias.source, alias.name) if _is_in_scope(code, alias, alias.name, one)]
    first, second = mentions.known(kept, alias.kept), mentions.known(named, alias.name)
    both = set(first).intersection(second)
    if alias.called:
        return _given_back(index, mentions, alias, sorted(both), named)
    stays = alias.local and all(code.is_set_before(one, alias.position) for one in (alias.kept, alias.name))
    shared = [one for one in dict.fromkeys([*first, *second]) if one in both or stays]
    for tensor in shared:
        state = index.history.last_state(tensor)
        writes = [one for one in index.history.writes_of(state) if changes_values(index, one)]
        if state is None or not writes:
            continue
        for readers, others, shown in ((kept, named, alias.kept), (named, kept, alias.name)):
            if shown == alias.name and not alias.local:
                continue  # a shorthand: written under the short name, and read under the other
            read = _after_write(mentions, readers, others, writes, tensor)
            if read is not None and shown == alias.kept and _is_kept_anew(index, alias, *read):
                continue
            if read is not None and (shown == alias.kept or _is_in_order(index, alias, *read)):
                apart = alias.local and _is_in_order(index, alias, *read)
                return _found(index, alias, state, *read, shown, is_meant_apart=apart)
    return None


def _is_kept_anew(index: Index, alias: Alias, write: Write, read: Mention) -> bool:
    """Whether the assignment always runs again between a write and a read: it stands between them, and in no branch."""
    source = index.places.codes[alias.source].source_code
    site = _site_in(index, alias, write)
    if site is None or source.function_around(read.position) is not alias.function:
        return False
    around = [one for one in source.statements_around(alias.position) if not isinstance(one, ast.With | ast.AsyncWith)]
    is_sure = all(node_position(one).holds(read.position) for one in around[:-1])
    return is_sure and site.end <= alias.position.start and alias.position.end <= read.position.start


def _given_back(
    index: Index, mentions: Mentions, alias: Alias, tensors: list[TensorId], named: list[Mention]
) -> AliasRead | None:
    """The first read, by its old name, of what a function wrote in place and gave back under another."""
    source = index.places.codes[alias.source].source_code
    behind = [
        one
        for one in named
        if alias.position.end <= one.position.start and source.function_around(one.position) is alias.function
    ]
    for tensor in tensors if behind else ():
        state = index.history.last_state(tensor)
        for write in index.history.writes_of(state):
            sites = [index.places.site(frame) for frame in write.call.stack.frames]
            if not changes_values(index, write) or not any(
                one.source == alias.source and alias.position.holds(one.position) for one in sites
            ):
                continue
            later = bisect_right(behind, write.call.step, key=lambda one: one.step)
            read = next((one for one in behind[later : later + _READS] if mentions.took(one, tensor)), None)
            if read is not None and state is not None:
                return _found(index, alias, state, write, read, alias.name, is_meant_apart=True)
    return None


def _after_write(
    mentions: Mentions, readers: list[Mention], writers: list[Mention], writes: list[Write], tensor: TensorId
) -> tuple[Write, Mention] | None:
    """The first of some mentions that read a tensor after a write that was made under another name."""
    own, others = {one.step for one in readers}, {one.step for one in writers}
    first = next((write for write in writes if write.call.step in others and write.call.step not in own), None)
    if first is None:
        return None
    written = {write.call.step for write in writes}
    later = bisect_right(readers, first.call.step, key=lambda one: one.step)
    for one in readers[later : later + _READS]:
        if one.step not in written and mentions.took(one, tensor):
            return first, one
    return None


def _is_in_scope(code: Code, alias: Alias, text: str, mention: Mention) -> bool:
    """Whether a mention is of the variable that an assignment is about; attributes and items are told by their text."""
    if not text.isidentifier():
        return True
    if alias.function is not None and not node_position(alias.function).holds(mention.position):
        return False
    function = code.source_code.function_around(mention.position)
    return function is alias.function or (function is not None and text not in code.own_names(function))


def _is_in_order(index: Index, alias: Alias, write: Write, read: Mention) -> bool:
    """Whether the write and the read both stand behind the assignment in its function, in this order."""
    source = index.places.codes[alias.source].source_code
    if source.function_around(read.position) is not alias.function:
        return False
    site = _site_in(index, alias, write)
    return site is not None and alias.position.end <= site.start < read.position.start


def _site_in(index: Index, alias: Alias, write: Write) -> Position | None:
    """Where the function of an assignment has made a write."""
    source = index.places.codes[alias.source].source_code
    for frame in write.call.stack.frames:
        site = index.places.site(frame)
        if site.source == alias.source and source.function_around(site.position) is alias.function:
            return site.position
    return None


def _found(
    index: Index, alias: Alias, state: TensorState, write: Write, read: Mention, shown: str, *, is_meant_apart: bool
) -> AliasRead:
    keep = index.places.in_source(alias.source, alias.position)
    reader = index.places.in_source(alias.source, read.position, read.step)
    return AliasRead(keep, write, index.trace.calls[read.step], reader, state, shown, is_meant_apart)

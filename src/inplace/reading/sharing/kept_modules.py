"""A module that was put aside under a condition (`if better: self.best = self.net`), trained on, and used later."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from inplace.facts.model import Call
from inplace.facts.source_code import node_position
from inplace.reading.sharing.aliases import pairs_assigned
from inplace.reading.sharing.kept_objects import KeptObject, KeptObjects
from inplace.reading.sharing.repeated import is_first
from inplace.reading.source.code import Code
from inplace.reading.trace.index import Index
from inplace.reading.trace.mentions import Mention, Mentions
from inplace.reading.trace.origins import Origin
from inplace.reading.trace.spelled import is_path

_MOST = 64  # such assignments that are looked at in one source
_USES = 64  # uses of one name that are asked what they read


def kept_modules(index: Index, objects: KeptObjects) -> Iterator[KeptObject]:
    """Yield the modules that got a second name in the midst of their training, and were used by it after more of it."""
    found = [one for source, code in enumerate(index.places.codes) for one in _set_aside(source, code)]
    wanted: dict[int, set[str]] = {}
    for origin, name in found:
        wanted.setdefault(origin.source, set()).add(name)
    mentions = Mentions(index, wanted)
    for origin, name in found:
        one = _used(index, objects, mentions, origin, name)
        if one is not None:
            yield one


def _set_aside(source: int, code: Code) -> Iterator[tuple[Origin, str]]:
    """The assignments of one name to another that stand under a condition."""
    left = _MOST
    for statement in code.source_code.simple_statements:
        at = node_position(statement)
        if not left or not any(isinstance(one, ast.If) for one in code.source_code.statements_around(at)):
            continue
        for target, value in pairs_assigned(statement):
            if is_path(target) and is_path(value) and ast.unparse(target) != ast.unparse(value):
                left -= 1
                yield Origin(source, statement, value, put=False), ast.unparse(target)


def _used(index: Index, objects: KeptObjects, mentions: Mentions, origin: Origin, name: str) -> KeptObject | None:
    """The last use of a module by its second name, if a parameter of it was written before it got that, and since."""
    code = index.places.codes[origin.source]
    runs = objects.runs.of(origin.source, origin.statement)
    uses = [one for one in mentions.of(origin.source, name) if _calls(code, one, name)] if runs else []
    for use in uses[-_USES:]:
        call, is_before = mentions.call(use), runs[0] < use.step
        for tensor in mentions.tensors(use) if is_before else ():
            state = index.history.last_state(tensor)
            if state is None or index.trace.tensors[tensor].type != "Parameter":
                continue
            writes = [one.call for one in index.history.writes_of(state) if not is_first(one)]
            since = objects.write_between(origin, state, runs[0], use.step)
            if since is not None and writes[0].step <= runs[0]:
                return _found(index, objects, origin, call, since, use, name)
    return None


def _found(
    index: Index, objects: KeptObjects, origin: Origin, call: Call, write: Call, use: Mention, name: str
) -> KeptObject | None:
    reader = index.places.at(call.stack.frames[use.depth], use.step)
    given = next(index.trace.states[one.before] for one in call.inputs)
    return KeptObject(objects.place(origin), write, reader, given, name, is_alone=False)


def _calls(code: Code, mention: Mention, name: str) -> bool:
    node = code.source_code.node(mention.position)
    return isinstance(node, ast.Call) and ast.unparse(node.func).startswith(name)

"""Two names in one loop, or for one module, that were meant for two things and stand for the same."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Position, TensorId
from inplace.facts.source_code import FUNCTIONS, called_name, node_position
from inplace.reading.sharing.meeting import meeting
from inplace.reading.sharing.repeated import is_first
from inplace.reading.source.code import Code, root_of
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.mentions import Mention, Mentions
from inplace.reading.trace.place import Place
from inplace.reading.trace.spelled import is_path

_MENTIONS = 512  # calls of a loop that are asked what they took
_MOST = 200  # loops over two things, and second names of modules, that are looked at in one source


@dataclass(frozen=True, slots=True)
class Twins:
    """Tensors that two names had alike: where the second was given, a write to them, and where both are used.

    The first is None where it is not known.
    """

    keep: Place | None
    write: Write
    reader: Place
    tensor: TensorId
    shown: str


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two names: `position` is the loop, or the assignment, and `origin` what the second goes through."""

    source: int
    position: Position
    names: tuple[str, str]
    origins: tuple[str, str]
    function: ast.stmt | None


def twins(index: Index) -> Iterator[Twins]:
    """Yield loops over two things whose items are the same tensors, then modules that were given a second name.

    Of a line that gave the second name is told once.
    """
    loops = [pair for number, code in enumerate(index.places.codes) for pair in _zipped(number, code)]
    modules = [pair for number, code in enumerate(index.places.codes) for pair in _renamed(number, code)]
    wanted: dict[int, set[str]] = {}
    for pair in (*loops, *modules):
        for number in (pair.source, *_others(index, pair)):
            wanted.setdefault(number, set()).update(pair.names)
    mentions = Mentions(index, wanted)
    told: set[object] = set()
    for pair in loops:
        for one in _same_items(index, mentions, pair):
            told.add(one.keep.spot if one.keep is not None else None)
            yield one
    for pair in modules:
        if index.places.in_source(pair.source, pair.position).spot not in told:
            yield from _same_module(index, mentions, pair)


# ---------------------------------------------------------------- loops


def _zipped(number: int, code: Code) -> Iterator[_Pair]:
    """The loops and comprehensions over two things at a time."""
    left = _MOST
    for node in code.source_code.nodes:
        generators = getattr(node, "generators", [node] if isinstance(node, ast.For) else [])
        for one in generators:
            if (
                left
                and isinstance(one.target, ast.Tuple)
                and _is_zip(one.iter)
                and isinstance(node, ast.expr | ast.stmt)
            ):
                left -= 1
                names = [ast.unparse(part) for part in one.target.elts[:2]]
                origins = [ast.unparse(part) for part in one.iter.args[:2]]
                if len(set(origins)) == len(names) and all(map(str.isidentifier, names)) and names[1:]:
                    at = node_position(node)
                    function = code.source_code.function_around(at)
                    yield _Pair(number, at, (names[0], names[1]), (origins[0], origins[1]), function)


def _is_zip(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "zip"


def _same_items(index: Index, mentions: Mentions, pair: _Pair) -> Iterator[Twins]:
    runs: list[list[TensorId]] = []
    last: list[Mention] = []
    for name in pair.names:
        found = [one for one in mentions.of(pair.source, name) if pair.position.holds(one.position)]
        exact = [(tensor, one) for one in found[:_MENTIONS] for tensor in mentions.exact(one, name)]
        runs.append(
            [tensor for number, (tensor, _) in enumerate(exact) if not number or exact[number - 1][0] != tensor]
        )
        last += [one for _, one in exact[-1:]]
    whole = max(len(mentions.of(pair.source, name)) for name in pair.names) <= _MENTIONS
    asked = max(map(len, runs)) if whole else min(map(len, runs))
    if len(last) != len(pair.names) or runs[0][:asked] != runs[1][:asked]:
        return
    tensor = runs[0][-1]
    place = _kept_at(index, pair)
    writes = [one for one in index.history.writes_of(index.history.last_state(tensor)) if not is_first(one)]
    if writes:
        at = max(last, key=lambda one: one.step)
        reader = index.places.in_source(pair.source, at.position, at.step)
        yield Twins(place, writes[0], reader, tensor, root_of(pair.origins[0]))


def _kept_at(index: Index, pair: _Pair) -> Place | None:
    """Where the second of two things that a loop goes through was given what the first has, by a line of its source.

    Of two such lines it is the one that copies, but not what is inside; else the second of one function.
    """
    found = [one for origin in pair.origins if (one := _assigned_at(index, pair, origin)) is not None]
    copying = [one for one in found if not is_path(one[2].value)]
    if not copying and len(found) > 1 and _are_in_one_function(index, found):
        found.sort(key=lambda one: one[1].start)
        found = found[1:]
    number, position, _ = next(iter(copying or found), (None, None, None))
    return None if number is None or position is None else index.places.in_source(number, position)


def _assigned_at(index: Index, pair: _Pair, origin: str) -> tuple[int, Position, ast.Assign] | None:
    """Where one of two things was given its name without a copy of what is inside, there or by a line of a cell."""
    sources, codes = index.trace.sources, index.places.codes
    cells = [number for number, one in enumerate(sources) if one.is_cell and sources[pair.source].is_cell]
    holder = origin.partition("(")[0].rpartition(".")[0] or origin
    for number in dict.fromkeys([pair.source, *reversed(cells)]):
        for position in codes[number].assignments(holder):
            statement = codes[number].statement(position)
            is_there = number == pair.source or codes[number].source_code.function_around(position) is None
            if not isinstance(statement, ast.Assign) or not is_there:
                continue
            if is_path(statement.value) or _copies_nothing(statement.value) or put_together_of(statement.value):
                return number, position, statement
    return None


def _are_in_one_function(index: Index, found: list[tuple[int, Position, ast.Assign]]) -> bool:
    (one, at, _), (other, there, _) = found
    codes = index.places.codes
    return one == other and codes[one].source_code.function_around(at) is codes[one].source_code.function_around(there)


def put_together_of(value: ast.expr) -> ast.expr | None:
    """The module whose own parts a new one is put together of: `online` of `nn.Sequential(*online.children())`."""
    if not isinstance(value, ast.Call) or called_name(value) != "Sequential" or len(value.args) != 1 or value.keywords:
        return None
    given = value.args[0].value if isinstance(value.args[0], ast.Starred) else None
    if isinstance(given, ast.Call) and ast.unparse(given.func) in {"list", "tuple"} and len(given.args) == 1:
        given = given.args[0]
    if isinstance(given, ast.Call) and isinstance(given.func, ast.Attribute) and given.func.attr == "children":
        given = given.func.value
    return given if given is not None and is_path(given) else None


def _copies_nothing(value: ast.expr) -> bool:
    """Whether a call gives out a new container, or object, that holds the same tensors."""
    if not isinstance(value, ast.Call):
        return False
    called = ast.unparse(value.func)
    return called in {"list", "tuple", "dict", "copy.copy", "copy"} or (called.endswith(".copy") and not value.args)


# ---------------------------------------------------------------- modules


def _renamed(number: int, code: Code) -> Iterator[_Pair]:
    """The assignments of a variable to another, and of an attribute to one of the same object, or to its parts."""
    left = _MOST
    for statement in code.source_code.simple_statements:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        value = statement.value if isinstance(statement, ast.Assign) else None
        value = value if value is None or is_path(value) else put_together_of(value)
        if not left or target is None or value is None or not is_path(target) or not is_path(value):
            continue
        names = ast.unparse(target), ast.unparse(value)
        variables = all(map(str.isidentifier, names))
        attributes = isinstance(target, ast.Attribute) and isinstance(value, ast.Attribute)
        if variables or (attributes and root_of(names[0]) == root_of(names[1])):
            left -= 1
            at = node_position(statement)
            yield _Pair(number, at, names, names, code.source_code.function_around(at))


def _same_module(index: Index, mentions: Mentions, pair: _Pair) -> Iterator[Twins]:
    """A module that is used under two names as two are: results of the two meet, and those of one have no gradients.

    A second name alone is a habit (`net = model`), and two branches with one module are trained together (siamese).
    """
    found, sources = [], dict[int, int]()
    for name in pair.names:
        called = [
            (one, number)
            for number in (pair.source, *_others(index, pair))
            for one in mentions.of(number, name)
            if _is_there(index, pair, number, one) and _calls(index.places.codes[number], one, name)
        ]
        sources.update({one.step: number for one, number in called})
        found.append(sorted([one for one, _ in called], key=lambda one: one.step))
    used = [_parameters(index, mentions, own) for own in found]
    for tensor in used[0]:
        writes = [one for one in index.history.writes_of(index.history.last_state(tensor)) if not is_first(one)]
        read = used[0][tensor]
        written = next((one for one in writes if one.call.step < read.step), None)
        if tensor in used[1] and written is not None:
            if meeting(index, [one.step for one in found[0]], [one.step for one in found[1]], writes) is None:
                return
            keep = index.places.in_source(pair.source, pair.position)
            reader = index.places.in_source(sources[read.step], read.position, read.step)
            yield Twins(keep, written, reader, tensor, pair.names[0])
            return


def _parameters(index: Index, mentions: Mentions, found: list[Mention]) -> dict[TensorId, Mention]:
    """The parameters that the calls of some mentions took, with the last mention of each."""
    types = index.trace.tensors
    return {tensor: one for one in found for tensor in mentions.tensors(one) if types[tensor].type == "Parameter"}


def _calls(code: Code, mention: Mention, name: str) -> bool:
    node = code.source_code.node(mention.position)
    return isinstance(node, ast.Call) and ast.unparse(node.func) == name


def _others(index: Index, pair: _Pair) -> list[int]:
    """The sources of other cells, where it is a cell that gave a variable a second name: they have that too."""
    sources = index.trace.sources
    is_global = sources[pair.source].is_cell and pair.function is None and pair.names[0].isidentifier()
    return [number for number, one in enumerate(sources) if is_global and one.is_cell and number != pair.source]


def _is_there(index: Index, pair: _Pair, source: int, mention: Mention) -> bool:
    """Whether a variable in a mention is that of the function of an assignment; attributes are told by their text."""
    if not pair.names[0].isidentifier():
        return True
    code = index.places.codes[source]
    if source != pair.source:
        return code.source_code.function_around(mention.position) is None
    function = code.source_code.function_around(mention.position)
    if function is pair.function or not isinstance(pair.function, FUNCTIONS):
        return function is pair.function
    return function is None or function in code.source_code.statements_around(pair.position)

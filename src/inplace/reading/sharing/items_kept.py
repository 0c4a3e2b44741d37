"""Items that a data set gives out as it keeps them, and a line elsewhere changes in each turn of a loop over them.

NOTE [ Items that no call gives out ]
`return self.items[i]` of a list is no call of PyTorch's. That a data set keeps what is written is known by the source:
the loop is over an object of a class with `__getitem__` and `__len__`, or over a loader of one, or the method of such a
class made it. It was taken out again where the loop had gone on to another item in between. What is changed towards
something that is computed anew in each turn, and is no noise, is a state that is meant to be carried on.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Call, Stack, TensorId
from inplace.facts.source_code import FUNCTIONS, node_position
from inplace.reading.sharing.arguments import SETTING, TAKING, WrittenArgument
from inplace.reading.sharing.moved_by import moved_by
from inplace.reading.source.code import Code
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

_TWO = 2  # arguments of `__getitem__`
_STEPS = 5  # from the loop to the object
_WRAPPING = frozenset({"enumerate", "DataLoader", "iter", "tqdm", "list"})


@dataclass(frozen=True, slots=True)
class _DataSet:
    """A class of data sets, and where its items are given out as they are kept."""

    source: int
    definition: ast.ClassDef
    gives: ast.Return


def kept_items(index: Index) -> Iterator[WrittenArgument]:
    """Yield the items that a line outside of their data set changes again when they have been taken out again."""
    sets = {one.definition.name: one for number in range(len(index.places.codes)) for one in _data_sets(index, number)}
    if not sets:
        return
    owners: dict[Stack, dict[str, str]] = {}
    now: dict[Stack, tuple[TensorId, int]] = {}  # the item that a line is at, and how many it has been at before
    first: dict[tuple[Stack, TensorId], tuple[Write, int]] = {}
    found: dict[Stack, tuple[TensorId, WrittenArgument]] = {}
    carried: set[TensorId] = set()
    for write in index.history.writes:
        call, tensor = write.call, write.before.tensor
        if call.raised is not None or call.function.label in SETTING or call.within is not None:
            continue
        if call.stack not in owners:
            owners[call.stack] = _looped(index, call, sets)
        if not owners[call.stack]:
            continue
        item, turn = now.get(call.stack, (tensor, 0))
        turn += item != tensor
        now[call.stack] = tensor, turn
        earlier, at = first.setdefault((call.stack, tensor), (write, turn))
        if moved_by(index, earlier) != moved_by(index, write):
            carried.add(tensor)
        name = index.spelled.text(call, write.argument.path)
        if turn > at and call.stack not in found and name in owners[call.stack]:
            owner = owners[call.stack][name] or _made_by(index, tensor, sets)
            if owner:
                found[call.stack] = tensor, WrittenArgument(_place(index, sets[owner]), earlier, call, name)
    yield from (one for tensor, one in found.values() if tensor not in carried)


def _data_sets(index: Index, number: int) -> Iterator[_DataSet]:
    """The classes of a source whose `__getitem__` gives out items of what an object keeps."""
    for definition in index.places.codes[number].source_code.statements:
        if not isinstance(definition, ast.ClassDef):
            continue
        methods = {one.name: one for one in definition.body if isinstance(one, FUNCTIONS)}
        taking = methods.get("__getitem__")
        if taking is not None and "__len__" in methods:
            returned = [one for one in ast.walk(taking) if isinstance(one, ast.Return)]
            if len(returned) == 1 and _gives_kept(returned[0], taking):
                yield _DataSet(number, definition, returned[0])


def _gives_kept(returned: ast.Return, taking: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether one of what a method returns is an item of an attribute of its object."""
    if len(taking.args.args) != _TWO:
        return False
    own, index = (one.arg for one in taking.args.args)
    parts = returned.value.elts if isinstance(returned.value, ast.Tuple) else [returned.value]
    for one in parts:
        at = one.value if isinstance(one, ast.Subscript) and ast.unparse(one.slice) == index else None
        if isinstance(at, ast.Attribute) and ast.unparse(at.value) == own:
            return True
    return False


def _looped(index: Index, call: Call, sets: dict[str, _DataSet]) -> dict[str, str]:
    """The variables that loops around a call give items, with the class of the data set, empty where it isn't known."""
    sites = [index.places.site(frame) for frame in call.stack.frames]
    if not sites or any(site.function.rpartition(".")[2] in TAKING for site in sites):
        return {}
    site, code = sites[0], index.places.codes[sites[0].source]
    found: dict[str, str] = {}
    for loop in code.source_code.statements_around(site.position)[:-1]:
        if isinstance(loop, (*FUNCTIONS, ast.ClassDef)):
            found = {}
        elif isinstance(loop, ast.For):
            over = _class_of(code, loop.iter, sets)
            names = (one.id for one in ast.walk(loop.target) if isinstance(one, ast.Name))
            found.update(dict.fromkeys(names, over or ""))
            found.update(_subscribed(code, loop, sets))
    return found


def _subscribed(code: Code, loop: ast.For, sets: dict[str, _DataSet]) -> Iterator[tuple[str, str]]:
    """The variables that a loop gives items of a data set by their numbers, `x, y = data[i]`, with its class."""
    for statement in ast.walk(loop):
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Subscript):
            owner = _class_of(code, statement.value.value, sets)
            names = [one for target in statement.targets for one in ast.walk(target) if isinstance(one, ast.Name)]
            yield from ((one.id, owner) for one in names if owner is not None)


def _class_of(code: Code, node: ast.AST | None, sets: dict[str, _DataSet]) -> str | None:
    """The class of data sets that an expression makes an object of, or a loader or an iteration of one."""
    for _ in range(_STEPS):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func).rpartition(".")[2]
            if called in sets:
                return called
            if called not in _WRAPPING or not node.args:
                return None
            node = node.args[0]
        elif isinstance(node, ast.Name):
            node = _assigned(code, node)
        else:
            return None
    return None


def _assigned(code: Code, name: ast.Name) -> ast.expr | None:
    """What a variable was assigned above in the function that reads it, or in the module where it is not its own."""
    function = code.source_code.function_around(node_position(name))
    above = code.assignment_above(node_position(name), name.id)
    statement = code.statement(above) if above is not None else None
    if above is None or not isinstance(statement, ast.Assign):
        return None
    other = code.source_code.function_around(above)
    is_own = function is not None and name.id in code.own_names(function)
    return statement.value if other is (function if is_own else None) else None


def _made_by(index: Index, tensor: TensorId, sets: dict[str, _DataSet]) -> str:
    """The class of data sets in whose method a tensor was made; empty where it was made elsewhere."""
    origin = index.trace.tensors[tensor].origin
    frames = index.trace.calls[origin].stack.frames if origin is not None and origin >= 0 else ()
    for frame in frames:
        site = index.places.site(frame)
        for outer in index.places.codes[site.source].source_code.statements_around(site.position):
            if isinstance(outer, ast.ClassDef) and outer.name in sets:
                return outer.name
    return ""


def _place(index: Index, one: _DataSet) -> Place:
    source, position = index.trace.sources[one.source], node_position(one.gives)
    return Place(source.label, source.file, position, index.places.codes[one.source].text(position), None)

"""Tensors that the turns of a loop made over one array, which each turn fills anew: all show what the last one put in.

NOTE [ Filled in between ]
What numpy does is no recorded call, so no fill is seen. It is known all the same: tensors that were made apart, over
the same bytes, by the one line that makes any, were made in several turns of the loop around that line; and a
statement of the same blocks that fills the array has run between them: one that stands before that line, or one
behind it in a loop of which each turn runs to its end.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from inplace.facts.model import Call, StorageId, TensorId, TensorState
from inplace.facts.source_code import FUNCTIONS, LOOPS, SourceCode, called_name, node_position, positional
from inplace.reading.sharing.arrays import wraps
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

_FEWEST = 2
_LOOKED_AT = 64  # tensors, and calls that each was given to
_DEEPEST = 4  # functions, each of which another calls
_FILLING = frozenset({"fill", "sort", "put", "partition", "itemset", "setfield"})
_FILLING_FIRST = frozenset({"copyto", "put", "place", "putmask", "put_along_axis", "fill_diagonal", "shuffle"})
_FILLING_GIVEN = frozenset({"readinto", "readinto1", "recv_into", "read_direct"})
_REPEATING = (ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp, ast.Lambda)
_LEAVING = (ast.Continue, ast.Break, ast.Try)  # what may pass by the rest of a block
_LOOPS_ON = (ast.Yield, ast.YieldFrom, ast.Await)


@dataclass(frozen=True, slots=True)
class Refilled:
    """Tensors over one array: the line that made them, the one that fills the array, the state of the last, a read."""

    keep: Place
    fill: Place
    state: TensorState
    read: Call


@dataclass(frozen=True, slots=True)
class _Making:
    """The call that makes the tensors, the function and loop it stands in, and the statement that fills the array.

    `is_once` is whether the loop runs once, by the source: no other loop, and no second call, is around it.
    """

    source: int
    node: ast.Call
    function: ast.stmt | None
    loop: ast.stmt
    fill: ast.stmt
    is_once: bool


def refilled_arrays(index: Index) -> Iterator[Refilled]:
    """Yield the first read of several such tensors, for each array that one line makes them of."""
    storages = [one for one in index.history.tensors_of if index.trace.storages[one].external]
    making = _making(index) if storages else None
    if making is None:
        return
    for storage in storages:
        found = _read(index, storage, making)
        if found is not None:
            keep, fill = (
                index.places.in_source(making.source, node_position(one)) for one in (making.node, making.fill)
            )
            yield Refilled(keep, fill, *found)
            return


# ---------------------------------------------------------------- what was seen


def _read(index: Index, storage: StorageId, making: _Making) -> tuple[TensorState, Call] | None:
    """The call that joined several of the tensors, or behind the loop was given the second of them."""
    history, trace = index.history, index.trace
    given: dict[object, dict[TensorId, int]] = defaultdict(dict)
    states: dict[TensorId, TensorState] = {}
    for tensor in history.tensors_of[storage]:
        if _is_made_apart(index, tensor) and history.sightings.get(tensor):
            own = trace.tensors[tensor].origin
            step, number = next((one for one in history.sightings[tensor] if one[0] != own), (None, 0))
            if step is None:
                continue
            states[tensor] = state = trace.states[number]
            given[state.offset, state.layout][tensor] = step
    for group in given.values():
        if len(group) < _FEWEST:
            continue
        joined = next(_joining(index, group), None)
        if joined is not None:
            return states[next(iter(group))], joined
        reads = sorted((step, tensor) for tensor, step in group.items())
        if making.is_once and all(_is_behind(index, making, trace.calls[step]) for step, _ in reads):
            step, tensor = reads[1]
            return states[tensor], trace.calls[step]
    return None


def _is_made_apart(index: Index, tensor: TensorId) -> bool:
    """Whether a tensor was given out by no call that was seen, or by one that was given no tensor (`as_tensor`)."""
    origin = index.trace.tensors[tensor].origin
    return origin is None or (origin >= 0 and not index.trace.calls[origin].inputs)


def _joining(index: Index, group: dict[TensorId, int]) -> Iterator[Call]:
    """The calls that were given several of some tensors at once."""
    for tensor in islice(group, _LOOKED_AT):
        for step, _ in islice(index.history.sightings[tensor], _LOOKED_AT):
            call = index.trace.calls[step]
            tensors = {index.trace.states[one.before].tensor for one in call.inputs if "[" in one.path}
            if len(tensors & group.keys()) >= _FEWEST and call.raised is None:
                yield call


def _is_behind(index: Index, making: _Making, call: Call) -> bool:
    """Whether a call was made when the loop was over: its function stands elsewhere, or is left and can't go on."""
    code = index.places.codes[making.source].source_code
    for frame in call.stack.frames:
        site = index.places.site(frame)
        if site.source == making.source and code.function_around(site.position) is making.function:
            return not node_position(making.loop).holds(site.position)
    return making.function is not None and not any(isinstance(one, _LOOPS_ON) for one in ast.walk(making.function))


# ---------------------------------------------------------------- what the source says


def _making(index: Index) -> _Making | None:
    """The one call in the sources that makes a tensor over an array, where the loop around it fills that."""
    found = []
    for number, one_code in enumerate(index.places.codes):
        found += [(number, one) for one in one_code.source_code.nodes if isinstance(one, ast.Call) and wraps(one)]
    if len(found) != 1:
        return None
    number, node = found[0]
    code: SourceCode = index.places.codes[number].source_code
    position = node_position(node)
    function, statements = code.function_around(position), code.statements_around(position)
    inner = statements[statements.index(function) + 1 :] if function in statements else statements
    array = ast.unparse(node.args[0])
    place = next((at for at in range(len(inner) - 2, -1, -1) if isinstance(inner[at], LOOPS)), None)
    if place is None or _is_bound(inner[place], array) or _is_repeated(inner[-1], node):
        return None
    beside = [one for at in inner[place + 1 :] for one in _beside(code, inner[place], at)]
    fill = next((one for one in beside if _fills(code, one, array)), None)
    is_once = not index.trace.is_session and _runs_once(index, number, inner[place])
    return None if fill is None else _Making(number, node, function, inner[place], fill, is_once)


def _is_repeated(statement: ast.stmt, node: ast.stmt | ast.expr) -> bool:
    """Whether an expression may be worked out several times in one run of its statement."""
    around = (one for one in ast.walk(statement) if isinstance(one, _REPEATING))
    return any(node_position(one).holds(node_position(node)) for one in around)


def _runs_once(index: Index, number: int, node: ast.stmt | ast.expr, depth: int = 0) -> bool:
    """Whether a piece of code runs once in a script: in no loop, and in no function but one that is called once."""
    code: SourceCode = index.places.codes[number].source_code
    position = node_position(node)
    *around, last = code.statements_around(position)
    around += [last] if last is not node else []
    function = code.function_around(position)
    if any(isinstance(one, LOOPS) for one in around) or _is_repeated(last, node) or depth > _DEEPEST:
        return False
    if function is None:
        return True
    if isinstance(function, ast.AsyncFunctionDef) or function.decorator_list:
        return False
    said = [
        (other, one)
        for other, found in enumerate(index.places.codes)
        for one in found.source_code.nodes
        if (isinstance(one, ast.Name) and one.id == function.name)
        or (isinstance(one, ast.Attribute) and one.attr == function.name)
    ]
    return len(said) == 1 and _runs_once(index, *said[0], depth + 1)


def _beside(code: SourceCode, loop: ast.stmt, statement: ast.stmt) -> list[ast.stmt]:
    """The statements of a block that run between one's run in a turn of a loop and in the next."""
    block = code.block_of(statement)
    number = block.index(statement)
    leaves = any(isinstance(one, _LEAVING) for one in ast.walk(loop))
    return block[:number] + ([] if leaves else block[number + 1 :])


def _is_bound(loop: ast.stmt, array: str) -> bool:
    """Whether a loop gives another value to what stands for an array: it may be another one in each turn."""
    named = [one for one in ast.walk(loop) if isinstance(one, ast.Name | ast.Attribute)]
    stored = {ast.unparse(one) for one in named if isinstance(one.ctx, ast.Store)}
    added = {ast.unparse(one.target) for one in ast.walk(loop) if isinstance(one, ast.AugAssign)}
    root = array.partition("[")[0].partition(".")[0]
    return bool({array, array.partition("[")[0], root} & (stored - added)) or "(" in array


def _fills(code: SourceCode, statement: ast.stmt, array: str, *, deeper: bool = True) -> bool:
    """Whether a statement writes to an array by itself, or calls a function of the source that does."""
    if isinstance(statement, ast.Assign):
        if any(isinstance(one, ast.Subscript) and ast.unparse(one.value) == array for one in statement.targets):
            return True
    elif isinstance(statement, ast.AugAssign):
        target = statement.target
        return ast.unparse(target.value if isinstance(target, ast.Subscript) else target) == array
    call = statement.value if isinstance(statement, ast.Expr | ast.Assign) else None
    if not isinstance(call, ast.Call):
        return False
    name, given = called_name(call), [ast.unparse(one) for one in call.args]
    if any(one.arg == "out" and ast.unparse(one.value) == array for one in call.keywords):
        return True
    if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == array:
        return name in _FILLING
    if array not in given:
        return False
    if name in _FILLING_GIVEN or (name in _FILLING_FIRST and given[0] == array):
        return True
    return deeper and _fills_argument(code, call, given.index(array))


def _fills_argument(code: SourceCode, call: ast.Call, number: int) -> bool:
    """Whether a function of the source, the one of its name, writes to one of its arguments whatever happens."""
    named = [one for one in code.statements if isinstance(one, FUNCTIONS) and one.name == called_name(call)]
    if len(named) != 1 or not isinstance(call.func, ast.Name):
        return False
    (function,) = named
    parameters = positional(function)
    if number >= len(parameters):
        return False
    before: list[ast.stmt] = []
    for statement in function.body:
        if _fills(code, statement, parameters[number], deeper=False):
            return not any(_is_bound(one, parameters[number]) or _may_leave(one) for one in before)
        before.append(statement)
    return False


def _may_leave(statement: ast.stmt) -> bool:
    return any(isinstance(one, ast.Return | ast.Raise) for one in ast.walk(statement))

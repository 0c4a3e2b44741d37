"""Writes by index that update what they read at repeated indices: only one update of each index stays.

NOTE [ What is lost at a repeated index ]
Every repeat reads the old value. What is computed from nothing but that is the same for all of them (rows that are
normalised, clamped), so nothing is lost; what is added from elsewhere is lost but for one. An average that moves
towards new values (`m[i] = 0.9 * m[i] + 0.1 * v`) is often meant to take one of them. `x[i] *= 0.5` is told: the
augmented assignment says that each index is to be updated.
"""

from __future__ import annotations

import ast
from bisect import bisect_right
from math import prod

from inplace.facts.model import Call, TensorId, TensorState
from inplace.reading.source.literals import only_value
from inplace.reading.trace.history import SET_ITEM, Write
from inplace.reading.trace.index import Index

_DEPTH = 6  # calls between what was read and what is written
_ADDING = frozenset(
    [
        *("add", "sub", "add_", "sub_", "__add__", "__sub__", "__radd__", "__rsub__", "__iadd__", "__isub__"),
        *("subtract", "subtract_", "rsub", "addcmul", "addcdiv", "addcmul_", "addcdiv_"),
    ]
)
_READING = frozenset({"__getitem__", "gather", "index_select", "take", "take_along_dim"})
_INDICES = {
    SET_ITEM: ("1",),
    "index_put_": ("1", "indices"),
    "index_copy_": ("2", "index"),
    "scatter_": ("2", "index"),
    "put_": ("1", "index"),
}
_VALUES = {
    SET_ITEM: ("2",),
    "index_put_": ("2", "values"),
    "index_copy_": ("3", "tensor"),
    "scatter_": ("3", "src"),
    "put_": ("2", "source"),
}


def repeats_indices(index: Index, write: Write) -> bool:
    """Whether a call updates what it read from its own target, at indices of which some are repeated."""
    call, label = write.call, write.call.function.label
    if label not in _INDICES or (label != SET_ITEM and _gathers_all(index, call)):
        return False
    states = index.trace.states
    given = [one for one in call.inputs if one.path in _VALUES[label]]
    indices = [states[one.before] for one in call.inputs if one.path.split("[")[0] in _INDICES[label]]
    rows = [state for state in indices if state.layout.dtype in {"int64", "int32"}]
    if not given or len(rows) != len(indices):
        return False
    if not rows and (label != SET_ITEM or not _literal_repeats(index, write)):
        return False
    reading = _update_of(index, write, states[given[0].before])
    if reading is None:
        return False
    taken = states[reading.outputs[0]].layout.shape if reading.outputs else ()
    return not rows or _are_repeated(index, write, rows) or _are_too_many(write, rows, taken)


def _gathers_all(index: Index, call: Call) -> bool:
    """Whether a call adds up what comes to one index: it was told to, or nobody knows what it was told."""
    node = index.places.node_of(call)
    if not isinstance(node, ast.Call) or call.stack.frames[0].entry is not None:
        return True
    most = {"scatter_": 3, "index_copy_": 3}.get(call.function.label, 2)
    own = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) != "torch"
    told = any(one.arg in {"accumulate", "reduce", None} for one in node.keywords)
    return told or len(node.args) > most + (not own) or any(isinstance(one, ast.Starred) for one in node.args)


def _are_repeated(index: Index, write: Write, rows: list[TensorState]) -> bool:
    """Whether known indices name one place twice."""
    shapes = {state.layout.shape for state in rows}
    if len(shapes) != 1 or any(state.values is None for state in rows):
        return False
    places = list(zip(*(_counted_from_front(write, rows, number) for number in range(len(rows))), strict=True))
    if write.call.function.label == "scatter_":
        dim, shape = _dim_of(index, write), rows[0].layout.shape
        if dim is None or not -len(shape) <= dim < len(shape):
            return False
        behind = prod(shape[dim % len(shape) + 1 :])
        size = shape[dim % len(shape)]
        others = [(at // (size * behind), at % behind) for at in range(len(places))]
        places = [(*one, *other) for one, other in zip(places, others, strict=True)]
    return len(set(places)) < len(places)


def _counted_from_front(write: Write, rows: list[TensorState], number: int) -> list[int]:
    """The elements of one index; one that counts from the end may name the place that another names from the front."""
    values, shape = [int(value) for value in rows[number].values or ()], write.before.layout.shape
    if write.call.function.label == SET_ITEM and len(rows) != len(shape):
        return values  # which dimension it is for is not known
    if write.call.function.label in {SET_ITEM, "index_put_"} and number < len(shape):
        return [value % shape[number] if shape[number] else value for value in values]
    return values


def _are_too_many(write: Write, rows: list[TensorState], taken: tuple[int, ...]) -> bool:
    """Whether so much was read by the index that some of it must have been read twice."""
    if write.call.function.label == "scatter_":
        read, whole = rows[0].layout.shape, write.before.layout.shape
        return len(read) == len(whole) and any(one > other for one, other in zip(read, whole, strict=True))
    return prod(taken) > write.before.layout.numel


def _dim_of(index: Index, write: Write) -> int | None:
    """The dimension that `scatter_` was told."""
    if len(write.before.layout.shape) == 1:
        return 0
    node = index.places.node_of(write.call)
    given = [one.value for one in node.keywords if one.arg == "dim"] if isinstance(node, ast.Call) else []
    given = given or (node.args[:1] if isinstance(node, ast.Call) else [])
    with_sign = given[0] if given else None
    negative = isinstance(with_sign, ast.UnaryOp) and isinstance(with_sign.op, ast.USub)
    number = with_sign.operand if isinstance(with_sign, ast.UnaryOp) else with_sign
    value = number.value if isinstance(number, ast.Constant) else None
    return None if type(value) is not int else -value if negative else value


def _literal_repeats(index: Index, write: Write) -> bool:
    """Whether the index of an item assignment is a list of numbers that repeats one, written there or just above."""
    place = index.places.of(write.call)
    code = index.places.code(place) if place is not None else None
    if place is None or code is None:
        return False
    statement = code.statement(place.position)
    target: ast.expr | None = statement.target if isinstance(statement, ast.AugAssign) else None
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
    listed: ast.expr | None = target.slice if isinstance(target, ast.Subscript) else None
    if isinstance(listed, ast.Name):
        listed = only_value(code, listed.id, place.position)
        if isinstance(listed, ast.Call) and len(listed.args) == 1:  # `np.array([1, 1])`
            listed = listed.args[0]
    if not isinstance(listed, ast.List):
        return False
    numbers = [one.value for one in listed.elts if isinstance(one, ast.Constant) and type(one.value) is int]
    return len(numbers) == len(listed.elts) and len(set(numbers)) < len(numbers)


# ---------------------------------------------------------------- what was read


def _update_of(index: Index, write: Write, value: TensorState) -> Call | None:
    """The read of a write's target that the written value is an update of; NOTE [ What is lost at a repeated index ].

    None where the value was made otherwise, or the target was written since.
    """
    same = index.places.statement_of(write.call)
    augmented = same is not None and _is_augmented(index, write)
    wanted, added = value.tensor, False
    step = write.call.step
    for _ in range(_DEPTH):
        maker = _maker(index, wanted, step)
        if maker is None:
            return None
        if maker.function.label in _READING:
            read = index.trace.states[maker.inputs[0].before]
            if read.storage != write.before.storage or _written_between(index, write, maker.step):
                return None
            is_here = augmented and index.places.statement_of(maker) == same
            return maker if added or is_here else None
        tensors = [index.trace.states[one.before].tensor for one in maker.inputs]
        own = [one for one in dict.fromkeys(tensors) if _is_read_of(index, one, maker.step, write)]
        if not own:
            return None
        adds = maker.function.label in _ADDING and (len(own) < len(set(tensors)) or len(tensors) == 1)
        if not adds and not augmented:
            return None
        added = added or adds
        wanted, step = own[0], maker.step
    return None


def _maker(index: Index, tensor: TensorId, before: int) -> Call | None:
    found = index.history.maker(tensor, before)
    return found if found is not None and found.inputs else None


def _is_read_of(index: Index, tensor: TensorId, before: int, write: Write) -> bool:
    """Whether a tensor comes, by its first arguments or its second, of a read of a write's target."""
    front, left = [(tensor, before)], _DEPTH
    while front and left:
        left -= 1
        one, step = front.pop()
        maker = _maker(index, one, step)
        if maker is None:
            continue
        states = [index.trace.states[argument.before] for argument in maker.inputs]
        if maker.function.label in _READING:
            if states[0].storage == write.before.storage:
                return True
            continue
        front += [(state.tensor, maker.step) for state in states[:2]]
    return False


def _is_augmented(index: Index, write: Write) -> bool:
    place = index.places.of(write.call)
    return place is not None and isinstance(index.places.code(place).statement(place.position), ast.AugAssign)


def _written_between(index: Index, write: Write, step: int) -> bool:
    writes = index.history.writes_to.get(write.before.storage, ()) if write.before.storage is not None else ()
    behind = bisect_right(writes, step, key=lambda one: one.call.step)
    return behind < len(writes) and writes[behind].call.step < write.call.step

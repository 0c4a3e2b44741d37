"""Writes to results that have a gradient path, through an alias which has none: the graph does not learn of them.

NOTE [ Writes whose derivative is one ]
Autograd goes on with the gradient of the values as they were before. For what is added that makes no difference, and
what is rounded or put in as a whole (`h.data.copy_(q)`) is passed straight through on purpose. Where values are scaled
or bent, or some of them are replaced, the gradient is not that of what was computed. A mask of very negative numbers is
none of these: behind it is a softmax, whose derivative is zero there.
"""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from inplace.facts.model import Call, ContentChange, GradMode, Kind, NodeId, StorageId, TensorId, TensorState
from inplace.reading.source.code import root_of
from inplace.reading.trace.history import SET_ITEM, Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.items import value_of
from inplace.reading.trace.place import Place
from inplace.reading.writes.receivers import reads_elements
from inplace.reading.writes.saves import changed

_SCALES = ("mul", "multiply", "div", "divide", "true_divide", "pow", "exp", "log", "sqrt", "square", "tanh", "sigmoid")
_BENDS_TOO = (
    *("abs", "reciprocal", "neg", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "hardtanh", "threshold"),
    *("clamp", "clamp_min", "clamp_max", "clip", "addcmul", "addcdiv", "lerp", "renorm", "zero", "dropout", "softmax"),
    *("normalize", "log_softmax", "layer_norm", "masked_fill", "where", "tril", "triu", "silu", "gelu", "hardsigmoid"),
)
_BENDS = frozenset(
    [
        *_SCALES,
        *_BENDS_TOO,
        *(f"{name}_" for name in (*_SCALES, *_BENDS_TOO)),
        *("__imul__", "__itruediv__", "__ipow__", "__truediv__", "__mul__", "__pow__"),
    ]
)
_PUTS_SOME = frozenset({"masked_fill_", "index_fill_", "masked_scatter_", "index_copy_", "index_put_", "scatter_"})
_PUTS = frozenset({"copy_", "data", SET_ITEM})
_BY_FUNCTION = frozenset({"apply_", "map_", "map2_"})
_ROUNDS = ("round", "sign", "floor", "ceil", "trunc", "argmax", "one_hot", "fix", "rint", "heaviside", "quant")
_HUGE = 1000  # the least number which, made negative, can only be a mask
_USES = 64  # calls behind a write that are asked whether they used the result


@dataclass(frozen=True, slots=True)
class Unfollowed:
    """Places that wrote, and the tensor with a gradient path whose values they changed; `node` had made that.

    `step` is that of the first call behind which the values are others, `backward` the one that does not know it.
    """

    places: tuple[Place, ...]
    storage: StorageId
    step: int
    live: TensorId
    node: NodeId
    backward: int


def unfollowed_writes(index: Index) -> Iterator[Unfollowed]:
    """Yield the writes that bend what a backward then goes through, in order; of one line's, the first."""
    found = _Unfollowed(index)
    for storage, writes in index.history.writes_to.items():
        for write in writes:
            one = found.of_write(storage, write)
            if one is not None:
                yield one
    for storage, changes in index.history.changes_of.items():
        for change in changes:
            one = found.of_change(storage, change)
            if one is not None:
                yield one


class _Unfollowed:
    """Asks of each write and change whether the graph should have learnt of it."""

    def __init__(self, index: Index) -> None:
        self._index = index
        walks = [walk for walk in index.trace.walks if walk.is_backward]
        self._gone = {node: walk.step for walk in reversed(walks) for node in walk.reached}
        self._saved = _saved(index)
        self._seen: set[object] = set()

    def of_write(self, storage: StorageId, write: Write) -> Unfollowed | None:
        call = write.call
        label = call.function.label
        if not any(label in known for known in (_BENDS, _PUTS_SOME, _PUTS, _BY_FUNCTION)):
            return None
        recorded = (write.before.requires_grad or write.after.requires_grad) and _is_grad(call)
        if call.stack in self._seen or call.raised is not None or recorded:
            return None
        if storage != write.before.storage or self._is_told_as_save(storage, call.step):
            return None
        live = _live(self._index, storage, call.step, self._gone)
        if live is None or not changed(write) or not self._bends(write):
            return None
        self._seen.add(call.stack)
        return Unfollowed(self._index.places.chain(call), storage, call.step, *live)

    def of_change(self, storage: StorageId, change: ContentChange) -> Unfollowed | None:
        """A change by numpy or the like, where the source says that it is one that bends."""
        if change.processes or change.stack is None or change.stack in self._seen:
            return None
        if self._is_told_as_save(storage, change.after):
            return None
        places = self._index.places.chain_of(change.stack, None)
        live = _live(self._index, storage, change.after, self._gone) if places else None
        if live is None or not _bends_array(self._index, places[0]):
            return None
        self._seen.add(change.stack)
        return Unfollowed(places, storage, change.after, *live)

    def _is_told_as_save(self, storage: StorageId, step: int) -> bool:
        return any(one is None or one <= step for one in self._saved.get(storage, ()))

    def _bends(self, write: Write) -> bool:
        label = write.call.function.label
        if label in _BENDS and label not in {"masked_fill", "masked_fill_"}:
            # Of `torch.clamp(h, 0, 1, out=h)` the target is among what is read.
            out = write.argument.path == "out"
            return not out or any(self._is_of(one.before, write) for one in write.call.inputs if one.path != "out")
        if label == SET_ITEM:
            return self._replaces_some(write)
        if label in _PUTS:
            return self._is_bent_from(write)
        if label in _BY_FUNCTION:
            node = self._index.places.node_of(write.call)
            return isinstance(node, ast.Call) and not _rounds(node) and not _adds(node)
        return not _is_mask(self._index, write.call)

    def _is_of(self, state: int, write: Write) -> bool:
        return self._index.trace.states[state].storage == write.before.storage

    def _is_bent_from(self, write: Write) -> bool:
        """Whether what is put in as a whole was bent out of what is there."""
        given = [self._index.trace.states[one.before] for one in write.call.inputs[1:2]]
        makers = self._makers(given[0], write.call.step) if given else []
        if not makers or makers[0].function.label not in _BENDS:
            return False
        return any(self._is_of(one.before, write) for maker in makers for one in maker.inputs)

    def _makers(self, state: TensorState, step: int) -> list[Call]:
        """The call that made a tensor, then those that made what that was given."""
        first = self._index.history.maker(state.tensor, step)
        if first is None:
            return []
        states = [self._index.trace.states[one.before] for one in first.inputs]
        return [first, *(one for given in states if (one := self._index.history.maker(given.tensor, first.step)))]

    def _replaces_some(self, write: Write) -> bool:
        """Whether an item assignment replaces a part by what is neither added to it, rounded, nor a mask."""
        place = self._index.places.of(write.call)
        statement = self._index.places.code(place).statement(place.position) if place is not None else None
        if isinstance(statement, ast.AugAssign):
            return not isinstance(statement.op, ast.Add | ast.Sub)
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Subscript):
            return False
        value = value_of(self._index, write)
        if _is_whole(statement.targets[0]):
            return value is not None and self._is_bent_value(write, value)
        makers = self._makers(value, write.call.step) if value is not None else []
        rounded = any(maker.function.label.startswith(_ROUNDS) for maker in makers)
        return not rounded and not _is_very_negative(statement.value) and not _rounds(statement.value)

    def _is_bent_value(self, write: Write, value: TensorState) -> bool:
        makers = self._makers(value, write.call.step)
        bent = bool(makers) and makers[0].function.label in _BENDS
        return bent and any(self._is_of(one.before, write) for maker in makers for one in maker.inputs)


def _is_grad(call: Call) -> bool:
    return call.grad_mode is GradMode.GRAD and call.function.kind is not Kind.SETTER


def _saved(index: Index) -> dict[StorageId, list[int | None]]:
    """The steps of the nodes that have saved each storage."""
    found: dict[StorageId, list[int | None]] = {}
    for node in index.trace.nodes:
        for one in node.saved:
            if one.storage is not None:
                found.setdefault(one.storage, []).append(node.step)
    return found


def _live(
    index: Index, storage: StorageId, step: int, gone: Mapping[NodeId, int]
) -> tuple[TensorId, NodeId, int] | None:
    """A result over a storage with the same node before and after a step, and the backward that goes through it."""
    if storage not in index.history.result_storages:
        return None  # as of parameters, which every step of an optimizer writes
    states = index.trace.states
    for tensor in index.history.tensors_of.get(storage, ()):
        sightings = index.history.sightings.get(tensor, [])
        place = bisect_right(sightings, step, key=lambda one: one[0])
        state = states[sightings[place - 1][1]] if place else None
        node = state.node if state is not None and state.requires_grad and not state.is_leaf else None
        if node is None or node not in gone:
            continue
        for at, number in sightings[place : place + _USES]:
            if states[number].node != node:
                break
            user = index.trace.calls[at]
            backwards = [gone[made] for made in map(NodeId, user.nodes) if made in gone]
            if user.grad_mode is GradMode.GRAD and backwards:
                return tensor, node, min(backwards)
    return None


# ---------------------------------------------------------------- what the source says of a write


def _is_mask(index: Index, call: Call) -> bool:
    node = index.places.node_of(call)
    values = [*node.args, *(one.value for one in node.keywords)] if isinstance(node, ast.Call) else []
    return any(_is_very_negative(one) for one in values)


def _is_very_negative(value: ast.expr) -> bool:
    """Whether an expression is what a softmax makes zero of: minus infinity, the least of a dtype, `-1e9`."""
    text = ast.unparse(value)
    if "inf" in text or text.endswith(").min"):
        return True
    number = value.operand if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub) else None
    return isinstance(number, ast.Constant) and isinstance(number.value, int | float) and number.value >= _HUGE


def _rounds(value: ast.expr) -> bool:
    called = [ast.unparse(one.func).rpartition(".")[2] for one in ast.walk(value) if isinstance(one, ast.Call)]
    return any(name.startswith(_ROUNDS) for name in called)


def _adds(node: ast.Call) -> bool:
    """Whether the function that is given to `apply_` or `map_` does no more than add."""
    function = next((one for one in node.args if isinstance(one, ast.Lambda)), None)
    body = function.body if function is not None else None
    return isinstance(body, ast.BinOp) and isinstance(body.op, ast.Add | ast.Sub)


def _is_whole(target: ast.Subscript) -> bool:
    """Whether an index takes all there is: `[:]`, `[...]`."""
    index = target.slice
    if isinstance(index, ast.Slice):
        return index.lower is None and index.upper is None
    return isinstance(index, ast.Constant) and index.value is Ellipsis


def _bends_array(index: Index, place: Place) -> bool:
    """Whether the statement that was running bends the elements of an array, rather than adding or rounding."""
    code = index.places.code(place)
    statement = code.statement(place.position) or code.statement(code.source_code.on_line(place.position.line))
    if isinstance(statement, ast.AugAssign):
        adds = isinstance(statement.op, ast.Add | ast.Sub)
        return not adds or reads_elements(statement.value, root_of(ast.unparse(statement.target)))
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Subscript):
        target = statement.targets[0]
        if _rounds(statement.value) or _is_very_negative(statement.value):
            return False
        return not _is_whole(target) or reads_elements(statement.value, ast.unparse(target.value))
    return any(
        one.arg == "out" or (one.arg == "inplace" and getattr(one.value, "value", None) is True)
        for node in (ast.walk(statement) if statement is not None else ())
        if isinstance(node, ast.Call)
        for one in node.keywords
    )

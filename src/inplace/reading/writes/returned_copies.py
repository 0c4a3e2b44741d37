"""Changed copies that a function of the user's, or a layer, gives back to a statement which drops them.

`normalize(batch)` on a line of its own does nothing where the function only computes: that is known once each thing
that its lines do was a call of PyTorch's which was seen, wrote to no tensor that was there before, and nothing that
it made was seen again. What else a function may be called for (attributes, files, other functions that were not
seen to do the same) takes the certainty away.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inplace.facts.model import Call, Kind, Position, Stack, StackFrame, TensorId
from inplace.facts.source_code import FUNCTIONS, called_name, node_position
from inplace.reading.source.bindings import argument_of, parameters_of
from inplace.reading.source.code import Code
from inplace.reading.source.flow import is_read_below
from inplace.reading.trace.index import Index
from inplace.reading.trace.spelled import is_path
from inplace.reading.writes.dropped import Dropped, may_be_dropped

_OF_MODULES = "_call_impl"
_LAYERS = frozenset(
    [
        *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardtanh", "softplus"),
        *("sigmoid", "tanh", "softmax", "log_softmax", "logsigmoid", "dropout", "dropout1d", "dropout2d", "dropout3d"),
        *("alpha_dropout", "layer_norm", "group_norm", "rms_norm", "normalize"),
    ]
)
_INNER = frozenset({"forward", "__call__"})
_ASKS = frozenset({"size", "dim", "numel", "ndimension", "is_floating_point", "get", "keys", "values", "items"})
_PLAIN = frozenset(
    [
        *("len", "range", "float", "int", "bool", "min", "max", "abs", "sum", "tuple", "list", "zip", "enumerate"),
        *("reversed", "sorted", "isinstance", "slice", "round"),
    ]
)
_DECORATORS = frozenset({"staticmethod", "classmethod", "no_grad", "inference_mode"})
_ACTING = (
    *(ast.Global, ast.Nonlocal, ast.Raise, ast.Assert, ast.Try, ast.Yield, ast.YieldFrom, ast.Await, ast.Import),
    *(ast.ImportFrom, ast.Delete, ast.Lambda, ast.ClassDef, ast.While, ast.Match, *FUNCTIONS),
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A statement that only calls something with a variable: the frame in it, and what stands around that."""

    node: ast.Call
    code: Code
    depth: int
    outer: tuple[StackFrame, ...]

    def depth_in(self, call: Call) -> int:
        """How many frames of the user's a call has below the statement."""
        return len(call.stack.frames) - len(self.outer)


def returned_copies(index: Index) -> Iterator[Dropped]:
    """Yield the first such call of each line of the user's."""
    columns = index.history.columns
    asked = {number: one for number, stack in enumerate(columns.stacks) if (one := _asked(index, stack.frames))}
    told: set[tuple[int, Position]] = set()
    begin = 0
    while asked and begin < len(columns.stack):
        one = asked.get(columns.stack[begin])
        end = begin + 1
        if one is not None:
            while end < len(columns.stack) and _is_same(asked.get(columns.stack[end]), one):
                end += 1
            site = index.places.site(one.outer[0])
            if (site.source, site.position) not in told:
                told.add((site.source, site.position))
                found = _lost(index, one, [index.trace.calls[step] for step in range(begin, end)])
                if found is not None:
                    yield found
        begin = end


def _is_same(other: _Asked | None, one: _Asked) -> bool:
    return other is not None and other.outer == one.outer


def _asked(index: Index, frames: Sequence[StackFrame]) -> _Asked | None:
    """The outermost statement under a call that may drop what it is given, of a function or of a layer."""
    for depth in reversed(range(len(frames))):
        frame = frames[depth]
        is_module = frame.entry is not None and frame.entry.endswith(_OF_MODULES)
        if not is_module and (frame.entry is not None or depth == 0):
            continue
        site = index.places.site(frame)
        code = index.places.codes[site.source]
        node = code.source_code.node(site.position)
        if isinstance(node, ast.Call) and any(is_path(one) for one in _given(node)):
            statement = code.statement(site.position)
            if isinstance(statement, ast.Expr) and statement.value is node and _is_dropped(code, node, statement):
                return _Asked(node, code, depth, tuple(frames[depth:]))
    return None


def _given(node: ast.Call) -> list[ast.expr]:
    return [*node.args, *(one.value for one in node.keywords)]


def _is_dropped(code: Code, node: ast.Call, statement: ast.Expr) -> bool:
    roots = [one for one in _given(node) if is_path(one)]
    return any(may_be_dropped(code, statement, one) for one in roots)


def _lost(index: Index, one: _Asked, calls: list[Call]) -> Dropped | None:
    """What a statement drops, where all that it did was to compute that."""
    inside = index.places.codes[index.places.site(one.outer[0]).source]
    if not all(_only_computes(index, call, calls[0].step) for call in calls):
        return None
    made = {index.history.tensors_by_state[state] for call in calls for state in call.outputs}
    last = calls[-1]
    sightings = index.history.sightings
    if not last.outputs or any(sightings[tensor][-1][0] > last.step for tensor in made):
        return None
    given = _of_layer(index, one, calls) if one.depth == 0 else _of_function(index, one, calls)
    places = index.places.chain_of(Stack(one.outer), calls[0].step)
    if given is None:
        return None
    receiver, call, number = given
    state, result = index.trace.states[call.inputs[number].before], index.trace.states[last.outputs[0]]
    same = (state.layout.shape, state.layout.dtype) == (result.layout.shape, result.layout.dtype)
    if not same or result.layout.numel <= 1 or state.storage == result.storage:
        return None
    read = sightings[state.tensor][-1][0] > last.step or is_read_below(inside, receiver, places[0].position)
    return Dropped(places, call, receiver, ast.unparse(one.node.func), number, is_returned=True) if read else None


def _only_computes(index: Index, call: Call, begin: int) -> bool:
    """Whether a call writes to nothing that was there before a step, and raises nothing."""
    if call.function.kind not in {Kind.OP, Kind.GETTER, Kind.TO_PYTHON} or call.raised is not None:
        return False
    if call.within is not None:
        return False
    written = [index.trace.states[argument.before].tensor for argument in index.trace.writes(call)]
    return all(_is_made_since(index, tensor, begin) for tensor in written)


def _is_made_since(index: Index, tensor: TensorId, begin: int) -> bool:
    """Whether a tensor, and the memory behind it, came about at a step or later."""
    state = index.trace.states[index.history.sightings[tensor][0][1]]
    over = [tensor] if state.storage is None else index.history.tensors_of[state.storage]
    return all((index.trace.tensors[one].origin or -1) >= begin for one in over)


def _of_layer(index: Index, one: _Asked, calls: list[Call]) -> tuple[str, Call, int] | None:
    """The variable that a layer without state was called with; a hook may be there for what the layer gives out."""
    hooked = any("_forward_hook" in (source.text or "") for source in index.trace.sources)
    if hooked or len(calls) != 1 or calls[0].function.label not in _LAYERS or not calls[0].inputs:
        return None
    first = one.node.args[0] if one.node.args else None
    return (ast.unparse(first), calls[0], 0) if first is not None and is_path(first) else None


def _of_function(index: Index, one: _Asked, calls: list[Call]) -> tuple[str, Call, int] | None:
    """The first variable handed over that the function itself computed with, if it does no more than to compute."""
    entered = _functions(index, one, calls)
    if entered is None:
        return None
    function = entered[0]
    for call in calls:
        for number, argument in enumerate(call.inputs):
            name = index.spelled.text(call, argument.path)
            tensor = index.trace.states[argument.before].tensor
            if name in parameters_of(function) and not _is_made_since(index, tensor, calls[0].step):
                held = argument_of(function, name, one.node)
                if held is not None and is_path(held):
                    return ast.unparse(held), call, number
    return None


def _functions(index: Index, one: _Asked, calls: list[Call]) -> list[ast.stmt] | None:
    """The functions that were run below a statement, the called one first, if all that they do was seen."""
    seen = dict.fromkeys(frame for call in calls for frame in call.stack.frames[: one.depth_in(call) + 1])
    sites = [index.places.site(frame) for frame in seen]
    did = {(site.source, site.position) for site in sites}
    inner = dict.fromkeys(frame for call in calls for frame in reversed(call.stack.frames[: one.depth_in(call)]))
    found: dict[ast.stmt, int] = {}
    for frame in inner:
        site = index.places.site(frame)
        function = index.places.codes[site.source].source_code.function_around(site.position)
        if function is None:
            return None
        found[function] = site.source
    functions = list(found)
    if not functions or getattr(functions[0], "name", "") not in _called(one):
        return None
    return (
        functions
        if all(_is_pure(function, {at for source, at in did if source == found[function]}) for function in functions)
        else None
    )


def _called(one: _Asked) -> frozenset[str]:
    """How the function may be named that a call of an object or of a function runs."""
    is_module = one.outer[0].entry is not None
    inner = one.code.source_code.function_around(node_position(one.node))
    if not is_module:
        return frozenset({called_name(one.node), "__call__"})
    return _INNER if inner is not None and inner.name in _INNER else frozenset()


def _is_pure(function: ast.stmt, did: set[Position]) -> bool:
    """Whether a function only computes: each call in it is one of those that were seen, or asks for a number."""
    if not isinstance(function, ast.FunctionDef) or not all(_is_harmless(one) for one in function.decorator_list):
        return False
    gives = False
    for node in (inner for statement in function.body for inner in ast.walk(statement)):
        if isinstance(node, _ACTING) or (isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)):
            return False
        if isinstance(node, ast.With) and not all("grad" in ast.unparse(item.context_expr) for item in node.items):
            return False
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load) and node_position(node) not in did:
            return False
        if isinstance(node, ast.AugAssign) and node_position(node) not in did:
            return False
        if isinstance(node, ast.Call) and node_position(node) not in did and not _is_plain(node):
            return False
        gives = gives or (isinstance(node, ast.Return) and not isinstance(node.value, ast.Constant | type(None)))
    return gives


def _is_harmless(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called).rpartition(".")[2] in _DECORATORS


def _is_plain(node: ast.Call) -> bool:
    """Whether a call is one of Python's own functions, or asks for a size, and changes nothing."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr in _ASKS or ast.unparse(node.func.value) == "math" or "grad" in node.func.attr
    return isinstance(node.func, ast.Name) and node.func.id in _PLAIN

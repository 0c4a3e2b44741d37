"""Results of out-of-place methods that a statement drops: `scores.masked_fill(mask, -1e9)` on a line of its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Act, Call, Kind
from inplace.facts.source_code import LOOPS, node_position
from inplace.reading.source.code import Code, root_of
from inplace.reading.source.flow import is_read_below
from inplace.reading.trace.idle import is_shown_or_tried, is_timed
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place
from inplace.reading.trace.spelled import is_path

# Methods that have a twin which changes their tensor, or that are called for a tensor to go on with.
_TWINS = frozenset(
    [
        *(
            "abs",
            "add",
            "addcdiv",
            "addcmul",
            "bernoulli",
            "ceil",
            "clamp",
            "clamp_max",
            "clamp_min",
            "clip",
            "copysign",
        ),
        *(
            "cos",
            "cumsum",
            "div",
            "divide",
            "exp",
            "fill",
            "floor",
            "index_add",
            "index_copy",
            "index_fill",
            "index_put",
        ),
        *("lerp", "log", "masked_fill", "masked_scatter", "mul", "multiply", "nan_to_num", "neg", "pow", "reciprocal"),
        *("relu", "renorm", "round", "rsqrt", "scatter", "scatter_add", "scatter_reduce", "sigmoid", "sin", "sqrt"),
        *("square", "sub", "subtract", "tanh", "tril", "triu", "true_divide", "trunc", "unsqueeze", "squeeze"),
        *("transpose", "t", "detach", "softmax", "clone", "view", "reshape", "permute", "flatten", "contiguous"),
        *("flip", "roll", "normalize", "dropout", "leaky_relu", "gelu", "elu", "softplus", "hardtanh"),
        *("to", "float", "double", "half", "bfloat16", "long", "int", "cuda", "cpu", "type"),
    ]
)
_LIBRARIES = frozenset({"torch", "F", "nn.functional", "torch.nn.functional", "functional"})


@dataclass(frozen=True, slots=True)
class Dropped:
    """A call whose result nobody has, while what it was called on is read again; `receiver` is its text.

    `called` is what the statement calls. Where that is a function of the user's, or a layer, `is_returned` is true, and
    `call` is the first call below it that computes with the tensor, its argument of that number.
    """

    places: tuple[Place, ...]
    call: Call
    receiver: str
    called: str
    number: int = 0
    is_returned: bool = False


def dropped_results(index: Index) -> Iterator[Dropped]:
    """Yield the first such call of each line of the user's."""
    columns = index.history.columns
    asked: dict[int, str] = {}
    for number, stack in enumerate(columns.stacks):
        if stack.frames:
            site = index.places.site(stack.frames[0])
            code = index.places.codes[site.source]
            node = code.source_code.node(site.position)
            made_by = stack.frames[0].entry  # a function of PyTorch's that is written in Python calls others
            own = isinstance(node, ast.Call) and made_by in (None, ast.unparse(node.func).rpartition(".")[2])
            if own and isinstance(node, ast.Call) and _is_dropped(code, node, code.statement(site.position)):
                asked[number] = ast.unparse(_receiver(node))  # type: ignore[arg-type]  # `_is_dropped` has asked
    seen: set[object] = set()
    for step, number in enumerate(columns.stack) if asked else ():
        if number in asked and columns.stacks[number].frames[0] not in seen:
            seen.add(columns.stacks[number].frames[0])
            call = index.trace.calls[step]
            place = index.places.of(call)
            if place is not None and _is_lost(index, call, place, asked[number]):
                yield Dropped(index.places.chain(call), call, asked[number], call.function.label)


def _is_dropped(code: Code, node: ast.Call, statement: ast.stmt | None) -> bool:
    """Whether a statement is no more than a method of a variable, among others that do something."""
    method, receiver = node.func, _receiver(node)
    if not isinstance(statement, ast.Expr) or statement.value is not node or not isinstance(method, ast.Attribute):
        return False
    if method.attr not in _TWINS or receiver is None or any(keyword.arg == "out" for keyword in node.keywords):
        return False
    return may_be_dropped(code, statement, receiver)


def may_be_dropped(code: Code, statement: ast.stmt, receiver: ast.expr) -> bool:
    """Whether a statement that is no more than a call with a variable stands among others that do something.

    What stands alone in its block, or among its like only, may be there to be timed, or to be refused.
    """
    if is_shown_or_tried(code, statement) or is_timed(code.source_code, statement):
        return False
    around = code.source_code.statements_around(node_position(statement))[:-1]
    if any(not isinstance(one, ast.Expr) for one in code.source_code.block_of(statement)):
        return True
    return not around or not _may_measure(around[-1], root_of(ast.unparse(receiver)))


def _receiver(node: ast.Call) -> ast.expr | None:
    """The variable that a call is about: what its method is of, or what a function of PyTorch's is given first."""
    held = node.func.value if isinstance(node.func, ast.Attribute) else None
    if held is not None and ast.unparse(held) in _LIBRARIES:
        held = node.args[0] if node.args else None
    return held if held is not None and is_path(held) else None


def _may_measure(block: ast.stmt, receiver: str) -> bool:
    """Whether a block may be there to see what its statements do: not a loop over what they change, nor `no_grad`."""
    if isinstance(block, ast.With):
        return not any("grad" in ast.unparse(one.context_expr) for one in block.items)
    given = ast.walk(block.target) if isinstance(block, ast.For) else ()
    return isinstance(block, LOOPS) and not any(isinstance(one, ast.Name) and one.id == receiver for one in given)


def _is_lost(index: Index, call: Call, place: Place, receiver: str) -> bool:
    """Whether what a call gave out is never seen again, and what it was called on is."""
    history = index.history
    if call.function.kind is not Kind.OP or call.raised is not None or not call.inputs or not call.outputs:
        return False
    if list(index.trace.writes(call)):
        return False
    given = index.trace.states[call.inputs[0].before].tensor
    made = {history.tensors_by_state[state] for state in call.outputs}
    if given in made or any(history.sightings[tensor][-1][0] > call.step for tensor in made):
        return False
    if history.sightings[given][-1][0] > call.step:
        return True
    held = receiver.removesuffix(".data")  # whose bytes they are
    if held.endswith(".grad") and _is_stepped_with(index, call):
        return True
    if held != receiver and index.trace.tensors[given].died is not None:
        return _is_seen_later(index, call)
    return is_read_below(index.places.code(place), held, place.position)


def _is_stepped_with(index: Index, call: Call) -> bool:
    """Whether an optimizer's step behind a call on a gradient has the parameter of that, which the line asked it of."""
    own = index.trace.states[call.inputs[0].before].storage
    for step in range(call.step - 1, max(call.step - 4, -1), -1):
        asked = index.trace.calls[step]
        if asked.function.kind is not Kind.GETTER or asked.function.label != "grad":
            continue
        if any(index.trace.states[state].storage == own for state in asked.outputs):
            leaf = index.trace.states[asked.inputs[0].before].tensor
            acts = (act for act in index.trace.acts if act.act is Act.STEPPED and act.step > call.step)
            return any(leaf in act.numbers for act in acts)
    return False


def _is_seen_later(index: Index, call: Call) -> bool:
    """Whether the bytes that a call was given are seen behind it by another tensor."""
    history, storage = index.history, index.trace.states[call.inputs[0].before].storage
    over = () if storage is None else history.tensors_of[storage]
    return any(history.sightings[tensor][-1][0] > call.step for tensor in over)

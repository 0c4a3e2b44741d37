"""Assignments that were to change a tensor, and gave another one its name, which nobody reads any more.

`for p in net.parameters(): p = p - lr * p.grad` leaves the parameters as they are: the loop's variable stands for
another tensor, until the loop takes the next one. So does `w = w.clamp(-1, 1)` of a function's parameter.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Argument, Call, Kind, TensorState
from inplace.facts.source_code import FUNCTIONS, LOOPS, SourceCode, node_position
from inplace.reading.source.bindings import parameters_of
from inplace.reading.trace.idle import is_timed
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

_VALUES = frozenset(
    [
        *("abs", "add", "addcdiv", "addcmul", "bernoulli", "ceil", "clamp", "clamp_max", "clamp_min", "clip", "cos"),
        *("cumsum", "detach", "div", "divide", "exp", "fill", "floor", "index_add", "index_copy", "index_fill"),
        *("lerp", "log", "masked_fill", "masked_scatter", "maximum", "minimum", "mul", "multiply", "nan_to_num", "neg"),
        *("normalize", "pow", "reciprocal", "relu", "renorm", "round", "rsqrt", "scatter", "scatter_add", "sigmoid"),
        *("sign", "sin", "softmax", "sqrt", "square", "sub", "subtract", "tanh", "tril", "triu", "true_divide"),
        *("trunc", "where", "empty_like", "full_like", "ones_like", "rand_like", "randn_like", "zeros_like"),
    ]
)
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
_ALL_NAMES = frozenset({"locals", "vars", "eval", "exec"})


@dataclass(frozen=True, slots=True)
class Rebound:
    """A call whose result took a name over from the tensor `left`, which stayed as it was.

    `by_loop` is whether the name is the variable of a loop, and not a parameter of a function.
    """

    place: Place
    call: Call
    name: str
    left: TensorState
    by_loop: bool


def rebound(index: Index) -> Iterator[Rebound]:
    """Yield the first such call of each line of the user's."""
    found: dict[int, tuple[str, bool]] = {}
    asked: dict[tuple[int, ast.stmt], tuple[str, bool] | None] = {}
    columns = index.history.columns
    for number, stack in enumerate(columns.stacks):
        if stack.frames:
            site = index.places.site(stack.frames[0])
            source = index.places.codes[site.source].source_code
            statement = source.statement(site.position)
            if isinstance(statement, ast.Assign) and source.node(site.position) is statement.value:
                key = site.source, statement
                if key not in asked:
                    asked[key] = _lost_name(source, statement)
                one = asked[key]
                if one is not None:
                    found[number] = one
    steps: dict[int, list[int]] = defaultdict(list)
    for step, number in enumerate(columns.stack) if found else ():
        if number in found:
            steps[number].append(step)
    told: set[object] = set()
    for number, at in steps.items():
        frame = columns.stacks[number].frames[0]
        left = _left(index, at, *found[number])
        if left is not None and frame.site not in told:
            told.add(frame.site)
            yield left


def _left(index: Index, steps: list[int], name: str, by_loop: bool) -> Rebound | None:  # noqa: FBT001
    """What the first of some calls from one place left behind, if nobody had the results of any."""
    history = index.history
    for step in steps:
        call = index.trace.calls[step]
        if call.function.kind is not Kind.OP or call.raised is not None or list(index.trace.writes(call)):
            return None
        for state in call.outputs:
            tensor = history.tensors_by_state[state]
            later = [at for at, _ in history.sightings[tensor] if at > step]
            if any(not _clears(index.trace.calls[at]) for at in later):
                return None
            if step != steps[-1] and index.trace.tensors[tensor].died is None:
                return None
    call = index.trace.calls[steps[0]]
    place = index.places.of(call)
    left = _named(index, call, name)
    if place is None or left is None or not call.outputs:
        return None
    is_other = history.tensors_by_state[call.outputs[0]] != left.tensor
    return Rebound(place, call, name, left, by_loop) if is_other else None


def _clears(call: Call) -> bool:
    """Whether a call sets the gradient of a tensor to none, and does nothing else with it."""
    return call.function.kind is Kind.SETTER and call.function.label == "grad" and len(call.inputs) == 1


def _named(index: Index, call: Call, name: str) -> TensorState | None:
    """The tensor that a name stood for in a statement, if others can have it still; `call` is the statement's last."""
    place, trace = index.places.of(call), index.trace
    for step in range(call.step, max(call.step - 16, -1), -1):
        one = trace.calls[step]
        at = index.places.of(one)
        if place is None or at is None or at.file != place.file or not place.position.holds(at.position):
            return None
        for argument in one.inputs:
            state = trace.states[argument.before]
            if _is_spelled(index, one, argument, name) and _is_had(index, state, call.step):
                return state
    return None


def _is_spelled(index: Index, call: Call, argument: Argument, name: str) -> bool:
    """Whether an argument was spelled by a name: of two factors one of which is a number, by the one that is none."""
    text = index.spelled.text(call, argument.path)
    place = index.places.of(call)
    node = None if place is None else index.places.code(place).source_code.node(place.position)
    if not isinstance(node, ast.BinOp) or len(call.inputs) > 1:
        return text == name
    sides = [ast.unparse(node.left), ast.unparse(node.right)]
    known = index.names.of(index.trace.states[argument.before].tensor)
    return name in sides and not any(side in known for side in sides if side != name)


def _is_had(index: Index, state: TensorState, step: int) -> bool:
    """Whether a tensor, or another over its bytes, was seen or lived behind a step."""
    history, storage = index.history, state.storage
    for tensor in [state.tensor] if storage is None else history.tensors_of[storage]:
        died = index.trace.tensors[tensor].died
        # What had no other name has died by the next call, which is the first to see that.
        if died is None or died > step + 1 or history.sightings[tensor][-1][0] > step:
            return True
    return False


# ---------------------------------------------------------------- the source


def _lost_name(source: SourceCode, statement: ast.Assign) -> tuple[str, bool] | None:
    """The variable of a loop, or the parameter, that a statement gives a new value of its own that nobody reads.

    With it, whether it is that of a loop.
    """
    target = statement.targets[0]
    if len(statement.targets) != 1 or not isinstance(target, ast.Name) or not _is_changed(statement.value, target.id):
        return None
    around = source.statements_around(node_position(statement))[:-1]
    for outer in reversed(around):
        if isinstance(outer, ast.For) and target.id in _bound([outer.target]):
            is_lost = not is_timed(source, outer) and not _is_read(source, target.id, statement, outer)
            return (target.id, True) if is_lost else None
        if isinstance(outer, FUNCTIONS):
            is_lost = target.id in parameters_of(outer) and not _is_read(source, target.id, statement, outer)
            return (target.id, False) if is_lost else None
        if isinstance(outer, (*LOOPS, ast.ClassDef)):
            return None  # what it computes with is what its last turn has left
    return None


def _is_changed(value: ast.expr, name: str) -> bool:
    """Whether an expression is of values that a variable's have become, which could have been written into it."""
    if isinstance(value, ast.BinOp):
        made = isinstance(value.op, _OPERATORS)
    elif isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        made = value.func.attr in _VALUES and not any(one.arg == "out" for one in value.keywords)
    else:
        made = isinstance(value, ast.UnaryOp)
    nodes = list(ast.walk(value))
    awaited = any(isinstance(one, ast.NamedExpr | ast.Await | ast.Yield) for one in nodes)
    return made and not awaited and any(isinstance(one, ast.Name) and one.id == name for one in nodes)


def _is_read(source: SourceCode, name: str, statement: ast.Assign, outer: ast.stmt) -> bool:
    """Whether somebody reads the value that a statement gives a name, which `outer` had given it before."""
    function = source.function_around(node_position(statement))
    everything = [one for word in _ALL_NAMES for one in source.names.get(word, ())]
    if any(source.function_around(node_position(one)) is function for one in everything):
        return True
    own, whole = node_position(statement), node_position(outer)
    elsewhere = [one for one in _binding(source, name) if one is not outer]
    for mention in source.names.get(name, ()):
        at = node_position(mention)
        if isinstance(mention.ctx, ast.Store) or own.holds(at) or _is_cleared(source, mention):
            continue
        if any(node_position(one).holds(at) and not node_position(one).holds(own) for one in elsewhere):
            continue
        other = source.function_around(at)
        if other is not function:
            if function is None or node_position(function).holds(at):
                return True  # a function within may be called at any time
        elif at.start > own.end or (outer is not function and not whole.holds(at) and _is_in_loop(source, outer)):
            return True
    return False


def _is_cleared(source: SourceCode, mention: ast.Name) -> bool:
    """Whether a variable is mentioned in `p.grad = None`, which reads nothing of it."""
    statement = source.statement(node_position(mention))
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Constant):
        return False
    return ast.unparse(statement.targets[0]) == f"{mention.id}.grad" and statement.value.value is None


def _is_in_loop(source: SourceCode, statement: ast.stmt) -> bool:
    """Whether a statement is run again and again, so that what stands above it may come behind it."""
    return any(isinstance(one, LOOPS) for one in source.statements_around(node_position(statement))[:-1])


def _binding(source: SourceCode, name: str) -> Iterator[ast.stmt | ast.expr]:
    """The loops, comprehensions and lambdas that give a name values of their own."""
    for node in source.nodes:
        if isinstance(node, ast.For):
            given = _bound([node.target])
        elif isinstance(node, ast.Lambda):
            given = {one.arg for one in node.args.args}
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            given = _bound([one.target for one in node.generators])
        else:
            continue
        if name in given:
            yield node


def _bound(targets: list[ast.expr]) -> set[str]:
    return {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}

"""One module several times where several may have been meant: `[layer] * n`, `dict.fromkeys(names, nn.Linear(4, 1))`.

A default argument is made once, too: `def __init__(self, head=nn.Linear(4, 1))` has one head for all objects.

NOTE [ Meant to be one ]
One layer applied again and again, and one weight under two names, are written on purpose too (ALBERT, tied embeddings).
That is known of the source in two cases only: the module is made in the very expression that repeats it, so it has no
name of its own, or each of its copies was given an optimizer of its own. Else it is told without alarm. A default is
told of only where two optimizers have it beside other parameters, alike in number and shape: those of two objects.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from inplace.facts.model import Act, Call, Position, TensorId
from inplace.facts.source_code import FUNCTIONS, node_position
from inplace.reading.sharing.arguments import defaults_of
from inplace.reading.source.code import Code
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place
from inplace.reading.trace.spelled import is_path

_OPTIMIZERS = 16  # that have one default, of which two are looked for
_MOST = 200  # such expressions that are looked at in one source


@dataclass(frozen=True, slots=True)
class Repeated:
    """An expression that repeats one module, a write to a parameter of that, and what it is called.

    `is_meant_apart` is whether nobody can have wanted one module; NOTE [ Meant to be one ]. `is_default` is whether it
    is the default of an argument.
    """

    keep: Place
    write: Write
    tensor: TensorId
    shown: tuple[str, ...]
    is_meant_apart: bool
    is_default: bool


@dataclass(frozen=True, slots=True)
class _Expression:
    """An expression that repeats `item`; `made` is where that was made."""

    source: int
    node: ast.expr
    made: Position
    is_made_there: bool
    is_default: bool = False


def repeated_modules(index: Index) -> Iterator[Repeated]:
    """Yield the expressions that repeat one module whose parameters were written since they got their first values."""
    found = [one for number, code in enumerate(index.places.codes) for one in _expressions(number, code)]
    if not found:
        return
    parameters = _parameters_made(index, found)
    for one in found:
        own = parameters.get((one.source, one.made), [])
        trained = next((write for tensor in own if (write := _trained(index, tensor)) is not None), None)
        if trained is None:
            continue
        at = node_position(one.node)
        keep, shown = index.places.in_source(one.source, at), index.places.codes[one.source].targets(at)
        apart = one.is_made_there or _optimizers_of(index, frozenset(own)) > 1
        if one.is_default and not _is_of_two_alike(index, frozenset(own)):
            continue
        yield Repeated(keep, trained, trained.before.tensor, shown, apart, one.is_default)


# ---------------------------------------------------------------- expressions


def _expressions(number: int, code: Code) -> Iterator[_Expression]:
    left = _MOST
    for node in code.source_code.nodes:
        items = items_repeated(node) if left and isinstance(node, ast.expr) else []
        for item in items:
            left -= 1
            if isinstance(item, ast.Call):
                yield _Expression(number, node, node_position(item), is_made_there=True)  # type: ignore[arg-type]
            elif is_path(item):
                made = _made_at(code, item, node)  # type: ignore[arg-type]
                if made is not None:
                    yield _Expression(number, node, made, is_made_there=False)  # type: ignore[arg-type]

    for function in code.source_code.statements:
        for position, _ in defaults_of(function) if isinstance(function, FUNCTIONS) else ():
            default = code.source_code.node(position)
            if isinstance(default, ast.expr):
                yield _Expression(number, default, position, is_made_there=False, is_default=True)


def items_repeated(node: ast.AST) -> list[ast.expr]:
    """What an expression has several times: the items of `[item] * n`, of `fromkeys(names, item)`, and the like."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [
            item for side in (node.left, node.right) if isinstance(side, ast.List | ast.Tuple) for item in side.elts
        ]
    if isinstance(node, ast.Call) and len(node.args) > 1:
        name = ast.unparse(node.func).rpartition(".")[2]
        return [node.args[1]] if name == "fromkeys" else [node.args[0]] if name == "repeat" else []
    if isinstance(node, ast.Call) and len(node.args) == 1 and isinstance(node.args[0], ast.Lambda):
        made = node.args[0].body
        return [made] if ast.unparse(node.func).rpartition(".")[2] == "defaultdict" and is_path(made) else []
    if isinstance(node, ast.ListComp | ast.GeneratorExp | ast.DictComp) and len(node.generators) == 1:
        item = node.value if isinstance(node, ast.DictComp) else node.elt
        given = {one.id for one in ast.walk(node.generators[0].target) if isinstance(one, ast.Name)}
        names = {one.id for one in ast.walk(item) if isinstance(one, ast.Name)}
        return [item] if is_path(item) and given.isdisjoint(names) else []
    return []


def _made_at(code: Code, item: ast.expr, node: ast.expr) -> Position | None:
    """The call whose result a variable is, in the function around an expression that repeats it."""
    text, function = ast.unparse(item), code.source_code.function_around(node_position(node))
    for at in reversed(code.assignments(text)):
        statement = code.statement(at)
        value = statement.value if isinstance(statement, ast.Assign) else None
        same = "." in text or code.source_code.function_around(at) is function
        if isinstance(value, ast.Call) and same and at.start < node_position(node).start:
            return node_position(value)
    return None


# ---------------------------------------------------------------- parameters


def _parameters_made(index: Index, found: list[_Expression]) -> dict[tuple[int, Position], list[TensorId]]:
    """The parameters that got their first values while each of the modules was made."""
    wanted: dict[int, list[Position]] = {}
    for one in found:
        wanted.setdefault(one.source, []).append(one.made)
    columns = index.history.columns
    inside: dict[int, list[tuple[int, Position]]] = {}
    for number, stack in enumerate(columns.stacks):
        for frame in stack.frames:
            site = index.places.site(frame)
            for position in wanted.get(site.source, ()):
                if position.holds(site.position):
                    inside.setdefault(number, []).append((site.source, position))
    made: dict[tuple[int, Position], dict[TensorId, None]] = {}
    for step, number in enumerate(columns.stack) if inside else ():
        for key in inside.get(number, ()):
            for state in columns.before[columns.begins[step] : columns.begins[step + 1]]:
                tensor = index.history.tensors_by_state[state]
                if index.trace.tensors[tensor].type == "Parameter":
                    made.setdefault(key, {})[tensor] = None
    return {key: list(tensors) for key, tensors in made.items()}


def _trained(index: Index, tensor: TensorId) -> Write | None:
    """The first write to a parameter but those that gave it its first values."""
    writes = index.history.writes_of(index.history.last_state(tensor))
    return next((write for write in writes if not is_first(write)), None)


def is_first(write: Write) -> bool:
    """Whether a module has given a parameter its first values."""
    return is_initial(write.call)


def is_initial(call: Call) -> bool:
    """Whether a call was made to build an object."""
    return any(frame.builds for frame in call.stack.frames[:1])


def _optimizers_of(index: Index, parameters: frozenset[TensorId]) -> int:
    """How many optimizers were built that have some parameters, by the lines that did."""
    built = [act for act in index.trace.acts if act.act is Act.BUILT]
    return len([act for act in built if not parameters.isdisjoint(map(TensorId, act.numbers))])


def _is_of_two_alike(index: Index, parameters: frozenset[TensorId]) -> bool:
    """Whether two optimizers have some parameters, each at the same places among others of the same shapes."""
    built = [[*map(TensorId, act.numbers)] for act in index.trace.acts if act.act is Act.BUILT]
    having = [one for one in built if not parameters.isdisjoint(one)]
    return any(_are_alike(index, one, two, parameters) for one, two in combinations(having[:_OPTIMIZERS], 2))


def _are_alike(index: Index, one: list[TensorId], two: list[TensorId], parameters: frozenset[TensorId]) -> bool:
    if len(one) != len(two) or not any(a != b for a, b in zip(one, two, strict=True)):
        return False
    for a, b in zip(one, two, strict=True):
        first, second = index.history.last_state(a), index.history.last_state(b)
        if first is None or second is None or first.layout.shape != second.layout.shape:
            return False
        if (a != b and (a in two or b in one)) or ((a in parameters) != (b in parameters)):
            return False
    return True

"""Loads of state dicts that put new parameters in the place of the old ones (`load_state_dict(..., assign=True)`)."""

from __future__ import annotations

import ast

from inplace.facts.model import Act, GradientAct, Stack
from inplace.facts.source_code import node_position
from inplace.reading.gradients.replaced import Replaced
from inplace.reading.source.code import root_of
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

_LOADS = "Module.load_state_dict"


def load_of(index: Index, one: Replaced) -> Place | None:
    """The line of the load that put a parameter in place, after the optimizer was built and before it was used.

    It is known by the name of its module. Where that is known under no such name, as inside of a function, it is the
    only load there was, and no line of the source gives such an attribute another value.
    """
    loads = {place.spot: (place, act) for act in _assigning(index, one) for place in _places(index, act)}
    names = index.names.of(one.now)
    roots = index.names.roots(name.path for name in index.trace.names)
    strange = []
    for place, act in reversed(loads.values()):
        module = (index.places.code(place).called(place.position) or "").rpartition(".")[0]
        if module and root_of(module) in roots:
            if any(name.startswith(f"{module}.") for name in names) and not _is_partial(index, place):
                return place
        else:
            strange.append((place, act))
    if len(loads) != 1 or not strange or not names or _is_assigned_since(index, names, one.since):
        return None
    place, act = strange[0]
    sightings = index.history.sightings.get(one.now, ())
    return place if all(step >= act.step for step, _ in sightings) else None


def _assigning(index: Index, one: Replaced) -> list[GradientAct]:
    """What switched gradient mode off for a parameter, as a load does, and copied nothing into it."""
    calls = index.trace.calls
    return [
        act
        for act in index.trace.acts
        if act.act is Act.SWITCHED_OFF
        and one.since <= act.step <= one.first_use.step
        and act.stack.frames
        and act.stack.frames[0].entry == _LOADS
        and calls[act.step].stack != act.stack
    ]


def _places(index: Index, act: GradientAct) -> list[Place]:
    return [index.places.at(frame, None) for frame in act.stack.frames[:1]]


def _is_partial(index: Index, place: Place) -> bool:
    """Whether a load may leave parameters out (`strict=False`)."""
    node = index.places.code(place).source_code.node(place.position)
    return isinstance(node, ast.Call) and (len(node.args) > 1 or any(one.arg == "strict" for one in node.keywords))


def _is_assigned_since(index: Index, names: list[str], since: int) -> bool:
    """Whether a source may have assigned an attribute or an item by which a parameter, or its module, is reached."""
    parts = {part.partition("[")[0] for name in names for part in name.split(".")[1:]}
    is_item = any("[" in name for name in names)
    for number, code in enumerate(index.places.codes):
        for statement in code.source_code.simple_statements:
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            if any(_is_one_of(target, parts, is_item=is_item) for target in targets):
                place = index.places.in_source(number, node_position(statement))
                if not is_over(index, place, since) and not _is_function_over(index, place, since):
                    return True
    return False


def _is_one_of(target: ast.expr, parts: set[str], *, is_item: bool) -> bool:
    if isinstance(target, ast.Subscript):
        return is_item or (isinstance(target.slice, ast.Constant) and target.slice.value in parts)
    return isinstance(target, ast.Attribute) and target.attr in parts


def is_over(index: Index, place: Place, since: int) -> bool:
    """Whether a range was seen to run before a step, and not from that step on."""
    columns = index.history.columns
    numbers = {number for number, stack in enumerate(columns.stacks) if _runs(index, stack, place)}
    steps = [step for step, number in enumerate(columns.stack) if number in numbers]
    return bool(steps) and steps[-1] < since


def _is_function_over(index: Index, place: Place, since: int) -> bool:
    """The same of the function around a line which makes no call itself."""
    around = index.places.code(place).source_code.statements_around(place.position)
    functions = [one for one in around if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    return bool(functions) and is_over(index, index.places.beside(place, node_position(functions[-1])), since)


def _runs(index: Index, stack: Stack, place: Place) -> bool:
    spots = [index.places.at(frame, None) for frame in stack.frames]
    own = [one for one in spots if (one.file, one.label) == (place.file, place.label)]
    return any(place.position.holds(one.position) for one in own)

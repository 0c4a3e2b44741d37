"""Refusals of what custom functions, hooks, checkpoints and transformed functions do: the lines that are to blame.

See NOTE [ Words of PyTorch's ]: the text says what was refused, the source of the function at work says where.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from inplace.facts.model import Call, Kind
from inplace.facts.source_code import called_name, node_position
from inplace.reading.trace.checkpoints import frame_of
from inplace.reading.trace.definitions import Defined, keyword, parameters
from inplace.reading.trace.ending import Ending
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

_HOOKS = (
    "register_hook",
    "register_full_backward_hook",
    "register_full_backward_pre_hook",
    "register_module_full_backward_hook",
    "register_backward_hook",
    "register_post_accumulate_grad_hook",
    "register_prehook",
)
_MOST = 4  # lines told of one refusal


@dataclass(frozen=True, slots=True)
class CustomEnding:
    """What was refused: the lines to blame, the line on which it was raised where that is another, and names.

    `parts` are the numbers and shapes that PyTorch says.
    """

    how: str
    places: tuple[Place, ...]
    victim: Place | None
    names: tuple[str, ...]
    parts: tuple[str, ...]


def custom_ending(index: Index) -> CustomEnding | None:
    """Why a custom function, a hook, a checkpoint or a transform was refused with which the code ended, if one was."""
    ending = index.ending
    look = _LOOKS.get(ending.what) if ending is not None else None
    if ending is None or look is None or _is_of_pytorch(ending):
        return None
    places, names = look(index, ending)
    if not places:
        places = list(ending.places)
    spots = {place.spot: place for place in places[:_MOST]}
    victim = ending.place if ending.place.spot not in spots else None
    told = index.names.told(first=names, places=[*places[:_MOST], victim], last=[one for one, _ in ending.there])
    return CustomEnding(ending.what, tuple(spots.values()), victim, told, ending.parts)


def _is_of_pytorch(ending: Ending) -> bool:
    """Whether it is about a node of PyTorch's own, whose name ends in a number."""
    return ending.what.startswith("gradient ") and ending.parts[0][-1:].isdigit()


Found = tuple[list[Place], list[str]]


def _here(_index: Index, ending: Ending) -> Found:
    """The line that raised it says it all."""
    return list(ending.places), []


def _backward_of(index: Index, ending: Ending) -> Found:
    """What the backward of the function that is named gives out."""
    methods = index.definitions.method(ending.parts[0].removesuffix("Backward"), "backward", "vjp")
    return index.definitions.results(methods), []


def _jvp_of(index: Index, ending: Ending) -> Found:
    return index.definitions.results(index.definitions.method(ending.failure.custom, "jvp")), []


def _calls_in_forward(index: Index, ending: Ending, name: str) -> list[tuple[Defined, ast.Call]]:
    """The calls of a method of `ctx` in the forward of the function that was at work."""
    for method in ("setup_context", "forward"):
        for one in index.definitions.method(ending.failure.custom, method):
            found = index.definitions.calls_in(one, name)
            if found:
                return [(one, call) for call in found]
    return []


def _kept(index: Index, ending: Ending) -> Found:
    """`save_for_backward`: the argument that PyTorch counts to, or all."""
    places, names = [], []
    for one, call in _calls_in_forward(index, ending, "save_for_backward"):
        places.append(index.definitions.place_of(one, call))
        counted = int(ending.parts[0]) if ending.what == "kept number" else None
        given = call.args if counted is None else call.args[counted : counted + 1]
        names += [ast.unparse(argument) for argument in given]
    if ending.what == "returned input":
        forward = index.definitions.method(ending.failure.custom, "forward")
        names += [name for one in forward for name in parameters(one)]
    return places, names


def _marked(index: Index, ending: Ending) -> Found:
    places, names = [], []
    for one, call in _calls_in_forward(index, ending, "mark_dirty"):
        places.append(index.definitions.place_of(one, call))
        names += [ast.unparse(argument) for argument in call.args]
    return places, names


def _forward_head(index: Index, ending: Ending) -> Found:
    forward = index.definitions.method(ending.failure.custom, "forward")
    return [index.definitions.head(one) for one in forward], []


def marked_results(index: Index) -> Iterator[tuple[Place, str]]:
    """Yield the calls of `mark_dirty` with a tensor that the same forward has made, and its name.

    That it was made there is observed: a call of the forward gave it out under that name, over memory of its own.
    """
    made: dict[tuple[int, str], list[int]] = {}
    for call in index.trace.calls if next(index.definitions.calls_of("mark_dirty"), None) is not None else ():
        place = index.places.of(call) if len(call.outputs) == 1 else None
        name = index.places.code(place).name_given(place.position) if place is not None else None
        storage = index.trace.states[call.outputs[0]].storage if place is not None else None
        if place is not None and name is not None and storage is not None and call.allocated:
            source = index.places.site(call.stack.frames[0]).source
            made.setdefault((source, name), []).append(place.position.line)
    for one in index.definitions.classes():
        for forward in index.definitions.method(_name_of(one), "forward") if made else ():
            for marking in index.definitions.calls_in(forward, "mark_dirty"):
                first, last = forward.node.lineno, marking.lineno
                for name in [argument.id for argument in marking.args if isinstance(argument, ast.Name)]:
                    lines = made.get((forward.source, name), [])
                    if name not in parameters(forward) and any(first <= line <= last for line in lines):
                        yield index.definitions.place_of(forward, marking), name


def partial_hooks(index: Index) -> Iterator[tuple[Place, str]]:
    """Yield the hooks of the old kind on modules that make several nodes, of which such a hook sees the last only.

    That is told of a module whose making stands in the same function: an `nn.Sequential` of several, or one of the
    user's whose forward made several calls with nodes. Lines behind it have run.
    """
    for source, call in index.definitions.calls_of("register_backward_hook"):
        if not isinstance(call.func, ast.Attribute):
            continue
        place = index.definitions.place(source, node_position(call))
        code, holder = index.places.code(place), ast.unparse(call.func.value)
        above = code.assignment_above(place.position, holder)
        made = code.source_code.node(above) if above is not None else None
        if isinstance(made, ast.Call) and _makes_several(index, made) and _ran_behind(index, source, call.lineno):
            yield place, holder


def _makes_several(index: Index, made: ast.Call) -> bool:
    """Whether the module that a call makes is of several parts, each with a node of its own."""
    name = called_name(made)
    if name == "Sequential":
        return len(made.args) > 1
    inside = [call for call in index.trace.calls if call.nodes and _is_in_forward(index, call, name)]
    return len({call.stack for call in inside}) > 1 if index.definitions.method(name, "forward") else False


def _is_in_forward(index: Index, call: Call, name: str) -> bool:
    return any(index.places.site(frame).function.endswith(f"{name}.forward") for frame in call.stack.frames)


def _ran_behind(index: Index, source: int, line: int) -> bool:
    """Whether a backward was begun on a line behind another one of the same source."""
    for call in index.history.calls_of(lambda function: function.kind is Kind.BACKWARD):
        sites = [index.places.site(frame) for frame in call.stack.frames]
        if any(site.source == source and site.position.line > line for site in sites):
            return True
    return False


def _legacy(index: Index, ending: Ending) -> Found:
    """The forwards without `@staticmethod`, of a class that the line mentions if it mentions one."""
    found: list[tuple[str, Place]] = []
    for one in index.definitions.classes():
        assert isinstance(one.node, ast.ClassDef)
        if any("Function" in ast.unparse(base) for base in one.node.bases):
            methods = [method for method in one.node.body if isinstance(method, ast.FunctionDef)]
            plain = [method for method in methods if method.name == "forward" and not method.decorator_list]
            found += [(one.node.name, index.definitions.head(Defined(one.source, method))) for method in plain]
    mentioned = [one for one in found if one[0] in index.names.at(ending.place)] or found
    return [place for _, place in mentioned], [name for name, _ in mentioned]


def _once(index: Index, _ending: Ending) -> Found:
    """The decorators of the backwards that can't be differentiated, of functions whose nodes were seen if any were."""
    nodes = {node.name for node in index.trace.nodes if node.custom}
    found: list[tuple[str, Place]] = []
    for one in index.definitions.classes():
        for method in one.node.body if isinstance(one.node, ast.ClassDef) else ():
            marks = method.decorator_list if isinstance(method, ast.FunctionDef) else []
            once = [mark for mark in marks if ast.unparse(mark).endswith("once_differentiable")]
            found += [(_name_of(one), index.definitions.place_of(one, mark)) for mark in once]
    seen = [one for one in found if f"{one[0]}Backward" in nodes] or found
    return [place for _, place in seen], [name for name, _ in seen]


# ---------------------------------------------------------------- hooks


def _hook(index: Index, ending: Ending) -> Found:
    """What a hook gives out: of the one that PyTorch names, or that ran last, else of all that are registered."""
    named = ending.parts[0] if ending.what == "hook shape" else ""
    registered = [
        (source, call, one)
        for source, call in index.definitions.calls_of(*_HOOKS)
        for argument in call.args[-1:]
        for one in index.definitions.given(source, argument)
        if not named or _name_of(one) == named
    ]
    ran = _ran_last(index, ending)
    registered = [found for found in registered if _holds(found[2], found[0], ran)] or registered
    results = index.definitions.results(one for _, _, one in registered)
    calls = [index.definitions.place(source, node_position(call)) for source, call, _ in registered]
    receivers = [ast.unparse(c.func.value) for _, c, _ in registered if isinstance(c.func, ast.Attribute)]
    functions = [_name_of(one) for _, _, one in registered if not isinstance(one.node, ast.Lambda)]
    return [*results, *calls], [*receivers, *functions]


def _name_of(one: Defined) -> str:
    return "<lambda>" if isinstance(one.node, ast.Lambda) else one.node.name


def _ran_last(index: Index, ending: Ending) -> tuple[int, int] | None:
    """The source and line of the last call that was made inside the backward that raised."""
    backward = ending.call
    inside = [call for call in index.trace.calls if backward is not None and call.within == backward.step]
    if not inside or not inside[-1].stack.frames:
        return None
    site = index.places.site(inside[-1].stack.frames[0])
    return site.source, site.position.line


def _holds(one: Defined, source: int, ran: tuple[int, int] | None) -> bool:
    return ran is not None and ran[0] == source and one.node.lineno <= ran[1] <= (one.node.end_lineno or 0)


def _saved_hooks(index: Index, ending: Ending) -> Found:
    """The pack hooks that write, or what the unpack hooks give out, and where they were set."""
    number = 0 if ending.what == "pack writes" else 1
    blamed, set_at, names = [], [], []
    for source, call in index.definitions.calls_of("saved_tensors_hooks", "register_hooks"):
        by_name = keyword(call, ("pack_hook", "unpack_hook")[number])
        argument = call.args[number] if len(call.args) > number else by_name
        functions = index.definitions.given(source, argument) if argument is not None else []
        for one in functions:
            blamed += index.definitions.results([one]) if number else index.definitions.writes_in(one)
            names += [*parameters(one), *([] if isinstance(one.node, ast.Lambda) else [_name_of(one)])]
        set_at.append(index.definitions.place(source, node_position(call)))
    return [*blamed, *set_at], names


# ---------------------------------------------------------------- checkpoints


def _reentrant(index: Index, _ending: Ending) -> Found:
    """The checkpoints that are not told to be non-reentrant, of those that ran."""
    ran = {frame.site for stack in index.history.columns.stacks for frame in stack.frames}
    lines = {(index.trace.sites[site].source, index.trace.sites[site].position.line) for site in ran}
    found = []
    for source, call in index.definitions.calls_of("checkpoint", "checkpoint_sequential"):
        told = keyword(call, "use_reentrant")
        off = isinstance(told, ast.Constant) and told.value is False
        if not off and (source, call.lineno) in lines:
            found.append(index.definitions.place(source, node_position(call)))
    return found, []


def _recomputed(index: Index, ending: Ending) -> Found:
    """The first line that did something else when it was run again in the backward, and what its names were set by.

    A checkpoint's function runs twice: its calls in the forward and those inside the backward are the same, unless it
    depends on something that has changed meanwhile.
    """
    backward = ending.call
    if backward is None:
        return [], []
    again = [call for call in index.trace.calls if call.within == backward.step and call.stack.frames]
    inner = [call for call in again if _is_recomputed(index, call)]
    if not inner:
        return _begun_otherwise(index, backward, None)
    first = inner[0]
    spot = index.places.of(first)
    before = [call for call in index.history.calls_at(range(backward.step)) if call.within is None]
    started = [call for call in before if (place := index.places.of(call)) and spot and place.spot == spot.spot]
    if not started:
        return [], []
    begin = started[-1].step
    forward = [call for call in before if call.step >= begin and frame_of(index, call.stack) is not None]
    for once, twice in zip_longest(forward, inner):
        if once is None or twice is None or not _same(index, once, twice):
            places = [place for one in (once, twice) if one is not None for place in index.places.chain(one)[:1]]
            return [*places, *_set_by(index, places)], []
    return _begun_otherwise(index, backward, first)


def _begun_otherwise(index: Index, backward: Call, twice: Call | None) -> Found:
    """The first call of the last checkpoint before a backward, where that is another than that of the second run."""
    once, steps = None, range(backward.step - 1, -1, -1)
    for call in index.history.calls_at(steps):
        frame = frame_of(index, call.stack) if call.within is None else None
        if frame is None and once is not None:
            break
        once = call if frame is not None else None
    if once is None or (twice is not None and _same(index, once, twice)):
        return [], []
    places = [place for one in (once, twice) if one is not None for place in index.places.chain(one)[:1]]
    return [*places, *_set_by(index, places)], []


def _is_recomputed(index: Index, call: Call) -> bool:
    """Whether a call inside a backward is one of the user's forward, as against one of a hook or a custom backward."""
    site = index.places.site(call.stack.frames[0])
    return not site.function.endswith((".backward", ".vjp"))


def _same(index: Index, once: Call, twice: Call) -> bool:
    """Whether a call and the one that came in its place did the same to tensors of the same kind."""
    states = index.trace.states
    layouts = [[states[one].layout for one in call.outputs] for call in (once, twice)]
    first, second = index.places.of(once), index.places.of(twice)
    same_line = first is not None and second is not None and first.spot == second.spot
    return same_line and once.function.label == twice.function.label and layouts[0] == layouts[1]


def _set_by(index: Index, places: Iterable[Place]) -> list[Place]:
    """Where the names that some lines use were set, and the conditions around them: what may differ the second time."""
    found = []
    for place in places:
        code = index.places.code(place)
        around_it = code.source_code.statements_around(place.position)
        functions = [one for one in around_it if isinstance(one, ast.FunctionDef)]
        if not functions:
            continue
        function = node_position(functions[-1])
        inside = around_it[around_it.index(functions[-1]) :]
        for name in code.roots(place.position):
            above = code.assignment_above(place.position, name)
            if above is not None and above.line < place.position.line and function.holds(above):
                found.append(index.places.beside(place, above))
        tests = [around.test for around in inside if isinstance(around, ast.If | ast.While)]
        found += [index.places.beside(place, node_position(test)) for test in tests]
    return found


_LOOKS: dict[str, Callable[[Index, Ending], Found]] = {
    "gradient count": _backward_of,
    "gradient shape": _backward_of,
    "gradient type": _backward_of,
    "kept number": _kept,
    "returned input": _kept,
    "dirty not returned": _marked,
    "dirty view": _marked,
    "read twice": _here,
    "unpacked twice": _here,
    "once": _once,
    "legacy": _legacy,
    "tangent": _jvp_of,
    "no setup": _forward_head,
    "hook count": _hook,
    "hook type": _hook,
    "hook shape": _hook,
    "pack writes": _saved_hooks,
    "unpack type": _saved_hooks,
    "recomputed otherwise": _recomputed,
    "reentrant": _reentrant,
    "backward inside": _here,
    "requires grad inside": _here,
    "data inside": _here,
    "write outside": _here,
    "number inside": _here,
}

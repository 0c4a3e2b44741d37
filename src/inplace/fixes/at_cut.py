"""Changes where a gradient path was cut: the cut left out, autograd recording again, or values kept as tensors."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from inplace.checks.finding import Finding
from inplace.facts.called import MODULES
from inplace.facts.model import Call, GradMode, Kind, Position, TensorId
from inplace.facts.source_code import called_name, node_position
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.editing import Edit, in_place_of
from inplace.fixes.rules import (
    not_reentrant,
    operand,
    under_enable_grad,
    without_data,
    without_line,
    without_statement,
)
from inplace.fixes.statement import FUNCTIONS, Statement
from inplace.reading.trace.place import Place

_CUTTING = frozenset({"detach", "clone", "cpu"})
_EXPORTS = frozenset({"numpy", "__array__", "__dlpack__", "to_dlpack", "__array_interface__"})
_ASKED = 8  # calls of one cut that are asked what comes of them
_FOLLOWED = 4096  # calls in which that is followed
_REBUILDING = frozenset({"tensor", "as_tensor", "FloatTensor", "DoubleTensor", "Tensor"})


def leaves_cut_out(look: Look, finding: Finding) -> Candidates:
    """`loss.detach()` -> `loss`, `x.data` -> `x`, `torch.tensor(out)` -> `out`, `torch.tensor(xs)` -> a stack."""
    is_alone = _is_alone(finding)
    for place, site in look.culprits(finding):
        node, call = site.node, look.call_of(place)
        calls = _calls_at(look, place)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CUTTING:
            if not node.args:
                fits = is_alone and _may_flow(look, finding, calls)
                yield Candidate(site, _uncut(site, node, node.func.value), fits)
        elif isinstance(node, ast.Attribute) and node.attr == "data" and isinstance(node.ctx, ast.Load):
            yield Candidate(site, _uncut(site, node, node.value), is_alone and _may_flow(look, finding, calls))
        elif isinstance(node, ast.Assign):
            fits = is_alone and call is not None and _is_plain_target(look, call)
            yield from (Candidate(site, edits, fits) for edits in without_data(site))
        elif isinstance(node, ast.Call) and called_name(node) in _REBUILDING and call is not None:
            yield from _rebuilt(site, node, call, look)


def _is_alone(finding: Finding) -> bool:
    """Whether one piece of code alone has cut the path: of several nobody knows which were meant."""
    return len({(place.file, place.position) for place in finding.blamed()}) == 1


def _uncut(site: Statement, node: ast.expr, kept: ast.expr) -> list[Edit]:
    """What a cut was given instead of the cut; where that leaves `h = h`, the statement goes."""
    text, statement = site.source_code.text_of(kept), site.statement
    targets = statement.targets if isinstance(statement, ast.Assign) and statement.value is node else []
    is_idle = [site.source_code.text_of(one) for one in targets] == [text]
    return without_statement(site) if is_idle else [in_place_of(node, text)]


def _calls_at(look: Look, place: Place) -> list[Call]:
    """All calls of one piece of code, that of a place among them."""
    call = look.call_of(place)
    if call is None:
        return []
    columns = look.index.history.columns
    wanted = {number for number, stack in enumerate(columns.stacks) if stack.frames[:1] == call.stack.frames[:1]}
    return [look.index.trace.calls[step] for step, number in enumerate(columns.stack) if number in wanted]


def _may_flow(look: Look, finding: Finding, calls: list[Call]) -> bool:
    """Whether a gradient may flow through some cuts.

    No other backward goes where it leads, no second one comes of what they gave out, and nobody writes to that, or
    hands it to numpy.
    """
    trace = look.index.trace
    given = {trace.states[one.before].node for call in calls for one in call.inputs} - {None}
    made = {trace.states[state].tensor for call in calls for state in call.outputs}
    if any(write.before.tensor in made for write in look.index.history.writes) or _is_exported(look, made):
        return False
    others = [walk for walk in trace.walks if walk.is_backward and walk.step != finding.at]
    if any(node in given for walk in others for node in walk.reached):
        return False
    return not any(_goes_into_several(look, call) for call in calls[:_ASKED])


def _goes_into_several(look: Look, call: Call) -> bool:
    """Whether more than one backward comes of what a call gave out: the first would free the path behind it."""
    columns, tensors = look.index.history.columns, look.index.history.tensors_by_state
    made, seen = {tensors[state] for state in columns.outputs_of(call.step)}, 0
    for step in range(call.step + 1, min(len(columns.stack), call.step + _FOLLOWED)):
        given = {tensors[state] for state in columns.before[columns.begins[step] : columns.begins[step + 1]]}
        if made.isdisjoint(given):
            continue
        if columns.functions[columns.function[step]].kind is Kind.BACKWARD:
            seen += 1
            if seen > 1:
                return True
        else:
            made.update(tensors[state] for state in columns.outputs_of(step))
    return False


def _is_exported(look: Look, tensors: set[TensorId]) -> bool:
    """Whether some tensors are handed out, as to numpy, which takes none with a gradient path."""
    calls = (look.index.trace.calls[step] for one in tensors for step, _ in look.index.history.sightings.get(one, ()))
    return any(call.function.label in _EXPORTS for call in calls)


def _is_plain_target(look: Look, call: Call) -> bool:
    """Whether what a call writes to is no leaf that requires grad, and nobody has saved it."""
    states = look.index.trace.states
    saved = {one.storage for node in look.index.trace.nodes for one in node.saved}
    for argument in look.index.trace.writes(call):
        state = states[argument.before]
        others = look.index.history.tensors_of.get(state.storage, ()) if state.storage is not None else ()
        last = [look.index.history.last_state(one) for one in others]
        if state.storage in saved or any(one is not None and one.requires_grad and one.is_leaf for one in last):
            return False
    return True


# ---------------------------------------------------------------- values made anew


def _rebuilt(site: Statement, node: ast.Call, call: Call, look: Look) -> Candidates:
    """What is given to `torch.tensor` itself, or a stack of it."""
    source, states = site.source_code, look.index.trace.states
    if len(node.args) != 1 or any(keyword.arg == "dtype" for keyword in node.keywords):
        return
    shapes = {one.path: states[one.before].layout.shape for one in call.inputs}
    text = source.text_of(node.args[0])
    if set(shapes) == {"0"}:
        inner = text if getattr(site.statement, "value", None) is node else operand(source, node.args[0])
        yield Candidate(site, [in_place_of(node, inner)], fits=True)
    elif shapes and all(path.startswith("0[") for path in shapes):
        yield Candidate(site, [in_place_of(node, f"torch.stack({text})")], set(shapes.values()) == {()})


def keeps_tensors(look: Look, finding: Finding) -> Candidates:
    """Numbers read for a list, `parts.append(x.item())`, stay tensors, and `torch.tensor(parts)` stacks them."""
    for place, site in look.culprits(finding):
        node = site.node
        if not isinstance(node, ast.Call) or called_name(node) != "item" or not isinstance(node.func, ast.Attribute):
            continue
        shapes = {
            look.index.trace.states[one.before].layout.shape for call in _calls_at(look, place) for one in call.inputs
        }
        joined = _joined(shapes)
        name = _list_of(site)
        found = list(_rebuilding(site, name)) if name is not None else []
        if joined is None or name is None or len(found) != 1:
            continue
        is_alone = _is_alone(finding)
        statement, made = found[0]
        edits = [
            in_place_of(node, site.source_code.text_of(node.func.value)),
            in_place_of(made, joined.format(name)),
        ]
        yield Candidate(site, edits, is_alone and _is_list_only(site, name, statement))


def _joined(shapes: set[tuple[int, ...]]) -> str | None:
    if shapes == {()}:
        return "torch.stack({})"
    if len(shapes) != 1 or any(size != 1 for size in next(iter(shapes))):
        return None
    return "torch.cat({})" if shapes == {(1,)} else "torch.cat({}).flatten()"


def _list_of(site: Statement) -> str | None:
    """The list that a statement puts the value of its expression into."""
    statement = site.statement
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        call = statement.value
        if called_name(call) == "append" and isinstance(call.func, ast.Attribute) and call.args == [site.node]:
            return ast.unparse(call.func.value)
    if (
        isinstance(statement, ast.Assign)
        and isinstance(statement.value, ast.ListComp)
        and statement.value.elt is site.node
    ):
        return ast.unparse(statement.targets[0])
    return None


def _rebuilding(site: Statement, name: str) -> Iterator[tuple[ast.stmt, ast.Call]]:
    for statement in site.source_code.simple_statements:
        for one in ast.walk(statement):
            is_made = isinstance(one, ast.Call) and called_name(one) in _REBUILDING and len(one.args) == 1
            if is_made and isinstance(one, ast.Call) and ast.unparse(one.args[0]) == name:
                yield statement, one


def _is_list_only(site: Statement, name: str, statement: ast.stmt) -> bool:
    """Whether a list is read for nothing else than to be made a tensor."""
    for one in site.source_code.nodes:
        if isinstance(one, ast.expr) and ast.unparse(one) == name and isinstance(getattr(one, "ctx", None), ast.Load):
            at = node_position(one)
            if not node_position(statement).holds(at) and not node_position(site.statement).holds(at):
                return False
    return True


def keeps_number(look: Look, finding: Finding) -> Candidates:
    """`float(self.gamma) * h` -> `self.gamma * h`, `t = threshold.item()` -> `t = threshold`, of one element.

    All such numbers are kept at once: with one of them left, a part of the gradient would be missing.
    """
    kept = [(place, *found) for place in finding.blamed() if (found := _number(look, place)) is not None]
    if len({site.file for _, site, *_ in kept}) != 1:
        return
    first = kept[0][1]
    edits = {node: in_place_of(node, site.source_code.text_of(held)) for _, site, node, held in kept}
    inputs = [one for place, *_ in kept for call in _calls_at(look, place) for one in call.inputs]
    fits = bool(inputs) and all(look.index.trace.states[one.before].layout.shape == () for one in inputs)
    fits = fits and len(kept) == len(finding.blamed())
    fits = fits and all(_meets_tensor(look, site, node) for _, site, node, _ in kept)
    yield Candidate(first, list(edits.values()), fits)


def _number(look: Look, place: Place) -> tuple[Statement, ast.expr, ast.expr] | None:
    """The statement at a place that reads a number, the call that does, and what it is read from."""
    site = look.site(place)
    node = site.node if site is not None else None
    if site is None or not isinstance(node, ast.Call) or called_name(node) not in {"item", "float"}:
        return None
    held = node.func.value if isinstance(node.func, ast.Attribute) else next(iter(node.args), None)
    return None if held is None else (site, node, held)


def _meets_tensor(look: Look, site: Statement, node: ast.expr) -> bool:
    """Whether a number goes into arithmetic that a tensor takes part in, and nowhere else.

    A sum of numbers alone would be a tensor too, and whoever takes it then would have to take one.
    """
    source = site.source_code
    parents = {child: one for one in ast.walk(site.statement) for child in ast.iter_child_nodes(one)}
    at: ast.AST = node
    while isinstance(parents.get(at), ast.BinOp | ast.UnaryOp):
        at = parents[at]
        if _is_recorded_at(look, site, at):
            return True
    target = parents.get(at)
    name = target.targets[0] if isinstance(target, ast.Assign) and len(target.targets) == 1 else None
    if not isinstance(name, ast.Name):
        return False
    function = source.function_around(node_position(site.statement))
    scope: ast.AST = function if function is not None else source.tree
    around = {child: one for one in ast.walk(scope) for child in ast.iter_child_nodes(one)}
    reads = [one for one in around if isinstance(one, ast.Name) and one.id == name.id and isinstance(one.ctx, ast.Load)]
    return bool(reads) and all(_is_recorded_at(look, site, around[one]) for one in reads)


def _is_recorded_at(look: Look, site: Statement, node: ast.AST) -> bool:
    """Whether a tensor took part in an operation of a source."""
    return isinstance(node, ast.BinOp) and look.is_called_at(site.file, node_position(node))


# ---------------------------------------------------------------- gradient mode


def records_again(look: Look, finding: Finding) -> Candidates:
    """What runs under `no_grad` is recorded: the decorator goes, or the statements go under `torch.enable_grad()`."""
    for place in finding.culprits:
        function = look.index.places.code(place).statement(place.position)
        if isinstance(function, FUNCTIONS) and any(
            node_position(one) == place.position for one in function.decorator_list
        ):
            site = Statement(place.file, look.index.places.code(place), function, None)
            yield from (Candidate(site, edits, fits=True) for edits in without_line(site, place.position))
            return
    sites = list(look.culprits(finding))
    for place, site in sites:
        yield from _whole_function(look, place, site)
        node = site.node
        if isinstance(node, ast.Call) and called_name(node) == "checkpoint":
            edits = not_reentrant(site.source_code, node)
            if edits:
                yield Candidate(site, edits, fits=True)
            return
    beside = [(place, found) for place in finding.blamed() if (found := look.site(place)) is not None]
    own = [(place, found) for place, found in beside if look.call_of(place) is not None and found.is_one_line]
    distinct = {node_position(site.statement): (place, site) for place, site in own}
    if distinct:
        places, first = [place for place, _ in own], next(iter(distinct.values()))[1]
        is_all = len(own) == len({place.spot for place in finding.blamed() if place.step is not None})
        in_inference = any(call.grad_mode is GradMode.INFERENCE for place in places if (call := look.call_of(place)))
        fits = is_all and not in_inference and all(_is_last_cut(look, *one) for one in distinct.values())
        edits = [edit for _, site in distinct.values() for edit in under_enable_grad(site)]
        yield Candidate(first, edits, fits)


def _whole_function(look: Look, place: Place, site: Statement) -> Candidates:
    """`@torch.no_grad()` above a function that does nothing else than to return what is wanted: the decorator goes."""
    source = site.source_code
    function = source.function_around(place.position)
    if not isinstance(function, FUNCTIONS) or not isinstance(site.statement, ast.Return):
        return
    marks = [one for one in function.decorator_list if ast.unparse(one).rstrip("()").endswith("no_grad")]
    body = [one for one in function.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
    if len(marks) == 1 and body == [site.statement]:
        there = Statement(place.file, look.index.places.code(place), function, None)
        fits = _is_last_cut(look, place, site)
        yield from (Candidate(there, edits, fits) for edits in without_line(there, node_position(marks[0])))


def _is_last_cut(look: Look, place: Place, site: Statement) -> bool:
    """Whether what a statement gives out goes into no other call that isn't recorded, and it writes to nothing."""
    trace = look.index.trace
    span, call = node_position(site.statement), look.call_of(place)
    calls = [one for one in look.calls_inside(site.file, span) if one.grad_mode is not GradMode.GRAD]
    if not calls or call is None or call.function.kind is not Kind.OP or isinstance(site.statement, ast.AugAssign):
        return False
    made = {trace.states[state].tensor for one in calls for state in one.outputs}
    for tensor in made:
        for step, _ in look.index.history.sightings.get(tensor, ()):
            other = trace.calls[step]
            inside = look.is_inside(other, site.file, span)
            if not inside and other.outputs and other.grad_mode is not GradMode.GRAD and other.function.kind is Kind.OP:
                return False
    return all(one.grad_mode is not GradMode.INFERENCE for one in calls)


def switches_in_block(look: Look, finding: Finding) -> Candidates:
    """`torch.set_grad_enabled(False)` at the top of a function becomes a block of `torch.no_grad()` to its end."""
    for _, site in look.culprits(finding):
        if isinstance(site.node, ast.Call) and called_name(site.node) == "set_grad_enabled":
            yield from _switched(site)
            return


def _switched(site: Statement) -> Candidates:
    source = site.source_code
    around = source.statements_around(node_position(site.statement))
    function = next((one for one in reversed(around) if isinstance(one, FUNCTIONS)), None)
    if function is None or site.statement not in function.body or not isinstance(site.statement, ast.Expr):
        return
    rest = function.body[function.body.index(site.statement) + 1 :]
    if not rest or not all(source.is_alone(node_position(one)) for one in rest):
        return
    last = rest[-1].end_lineno or rest[-1].lineno
    strings = [
        one for one in source.nodes if isinstance(one, ast.Constant | ast.JoinedStr) and one.lineno != one.end_lineno
    ]
    if any(rest[0].lineno <= one.lineno <= last for one in strings):
        return  # to indent a text of several lines would change it
    inner = [number for number in range(rest[0].lineno, last + 1) if source.line(number).strip()]
    edits = [in_place_of(site.statement, "with torch.no_grad():")]
    edits += [Edit(Position(number, 0, number, 0), "    ") for number in inner]
    node = site.node
    off = isinstance(node, ast.Call) and [ast.unparse(one) for one in node.args] == ["False"]
    text = "\n".join(source.lines[rest[0].lineno - 1 : last])
    yield Candidate(site, edits, off and "set_grad_enabled" not in text and "backward" not in text)


# ---------------------------------------------------------------- results made leaves


def uses_result(look: Look, finding: Finding) -> Candidates:
    """`weight = nn.Parameter(self.g * self.v)` in a forward -> `weight = self.g * self.v`."""
    for _, site in look.culprits(finding):
        statement = site.statement
        value = statement.value if isinstance(statement, ast.Assign) else None
        if not isinstance(value, ast.Call) or called_name(value) != "Parameter" or len(value.args) != 1:
            continue
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        around = site.source_code.statements_around(node_position(statement))
        in_function = any(isinstance(one, FUNCTIONS) and one.name != "__init__" for one in around)
        name = ast.unparse(target) if isinstance(target, ast.Name) else None
        fits = (
            in_function and name is not None and not value.keywords and name not in MODULES and not _is_kept(site, name)
        )
        yield Candidate(site, [in_place_of(value, site.source_code.text_of(value.args[0]))], fits)


def _is_kept(site: Statement, name: str) -> bool:
    """Whether a name is assigned to an attribute or item, where a module would ask for a parameter."""
    return any(
        isinstance(one, ast.Assign) and ast.unparse(one.value) == name and not isinstance(one.targets[0], ast.Name)
        for one in site.source_code.statements
    )

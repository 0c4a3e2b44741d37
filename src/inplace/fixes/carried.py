"""Changes where a graph is gone through again: it is kept, or what is carried from turn to turn is detached."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from inplace.checks.finding import Finding
from inplace.facts.model import Call, Kind, NodeId, TensorId
from inplace.facts.source_code import LOOPS, node_position
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.editing import behind, in_place_of
from inplace.fixes.first_use import detaches_taken
from inplace.fixes.kept_values import detaches_kept, written_into
from inplace.fixes.ownership import operands_of
from inplace.fixes.rules import with_keyword
from inplace.fixes.statement import Statement
from inplace.reading.trace.place import Place

_DEEPEST = 4  # frames looked at


def retains_graph(look: Look, finding: Finding) -> Candidates:
    """The first of two backwards gets `retain_graph=True`, where nothing that they share is written in between."""
    second = finding.victim.place if finding.victim is not None else None
    for place in finding.culprits[:1]:
        site, call = look.site(place), look.call_of(place)
        node = site.node if site is not None else None
        if site is None or call is None or not isinstance(node, ast.Call) or call.function.kind is not Kind.BACKWARD:
            continue
        plain = not any(one.arg in {"retain_graph", "create_graph"} for one in node.keywords)
        apart = second is None or second.spot != place.spot
        edit = with_keyword(site.source_code, node, "retain_graph=True")
        fits = plain and apart and _is_unwritten(look, call) and not look.is_differentiated(call, finding)
        yield Candidate(site, [edit], fits)


def _is_unwritten(look: Look, first: Call) -> bool:
    """Whether nothing that a graph has saved is written to behind a backward."""
    walks = [walk for walk in look.index.trace.walks if walk.is_backward and walk.step == first.step]
    nodes = look.index.trace.node_by_id
    saved = {one.storage for walk in walks for node in walk.reached for one in nodes[node].saved} - {None}
    later = [write for write in look.index.history.writes if write.call.step > first.step]
    return bool(walks) and not any(write.before.storage in saved for write in later)


# ---------------------------------------------------------------- what is carried over


def detaches_carried(look: Look, finding: Finding) -> Candidates:
    """What a turn takes from the turn before gets rid of its graph: `h = h.detach()` at the end of the loop.

    What is made once before a loop is detached where it is made; what a cell takes from its run before, where it does.
    """
    second = _second_backward(look, finding)
    if second is None:
        yield from _in_cell_again(look, finding)
        return
    call, first = second
    keeps = not _loses_gradient(look, _carried(look, call, first, 0), call)
    yield from detaches_kept(look, first, call, fits=keeps)
    for depth, frame in enumerate(call.stack.frames[:_DEEPEST]):
        place = look.index.places.at(frame, call.step)
        source = look.index.places.code(place).source_code
        loops = [one for one in source.statements_around(place.position) if isinstance(one, LOOPS)]
        if not loops:
            continue
        carried = _carried(look, call, first, depth)
        yield from _at_loop_end(look, place, loops[-1], carried, call)
        yield from _before_loop(look, place, loops[-1], carried, call)
        return


def _in_cell_again(look: Look, finding: Finding) -> Candidates:
    """The name by which a cell takes what its run before has left."""
    second = look.call_of(finding.victim.place) if finding.victim is not None else None
    calls = [call for place in finding.culprits if (call := look.call_of(place)) is not None]
    first = next((call for call in calls if call.function.kind is Kind.BACKWARD), None)
    if first is None or second is None or len(finding.tensors()) != 1 or first.step >= second.step:
        return
    shared = finding.tensors()[0]
    state = look.index.history.last_state(shared)
    if state is not None and state.node is not None:
        carried = _Carried(frozenset({shared}), frozenset({state.node}), {}, named=True)
        keeps = not _loses_gradient(look, carried, second)
        yield from detaches_taken(look, first, second, shared, fits=keeps)


def _second_backward(look: Look, finding: Finding) -> tuple[Call, Call] | None:
    """The backward that was refused and the one before it of the same line; None where there is none."""
    calls = look.index.trace.calls
    backwards = [*look.index.history.calls_of(lambda one: one.kind is Kind.BACKWARD)]
    raised = [one for one in backwards if one.raised is not None and finding.at in {None, one.step}]
    if not raised:
        return None
    second = raised[-1]
    before = [one for one in backwards if one.step < second.step and one.stack == second.stack]
    return (calls[second.step], before[-1]) if before else None


@dataclass(frozen=True, slots=True)
class _Carried:
    """What goes from one turn to the next: the tensors, and the names by which calls of this turn take them."""

    tensors: frozenset[TensorId]
    nodes: frozenset[NodeId]
    names: dict[str, bool]
    """Each with whether it stands for several of them, as the state of an LSTM does."""
    named: bool
    """Whether each of the tensors is taken by a name."""


def _carried(look: Look, second: Call, first: Call, depth: int) -> _Carried:
    """The results made before a backward that go into calls after it, for the next one."""
    trace, begin = look.index.trace, look.index.history.columns.nodes_start[first.step]
    tensors: dict[TensorId, bool] = {}
    nodes: set[NodeId] = set()
    names: dict[str, bool] = {}
    function = look.index.places.site(second.stack.frames[depth]).function
    for step in range(first.step + 1, second.step):
        call = trace.calls[step]
        for argument in call.inputs if call.nodes else ():
            state = trace.states[argument.before]
            if not state.requires_grad or state.is_leaf or state.node is None or state.node >= begin:
                continue
            found = [_own_name(look, state.tensor, one) for one in _taken_by(look, call, function)]
            tensors[state.tensor] = tensors.get(state.tensor, False) or bool(found)
            nodes.add(state.node)
            names.update({name: "[" in argument.path or names.get(name, False) for name in found})
    return _Carried(frozenset(tensors), frozenset(nodes), names, bool(tensors) and all(tensors.values()))


def _own_name(look: Look, tensor: TensorId, given: str) -> str:
    """The name of a tensor that an object has, where it is the object that is given: `state.h` for `state`."""
    known = look.index.names.of(tensor)
    longer = [name for name in known if name.startswith(f"{given}.") and "[" not in name]
    return longer[0] if longer and given not in known else given


def _taken_by(look: Look, call: Call, function: str) -> list[str]:
    """The variables that a call, or the call around it in a function, is given."""
    for frame in call.stack.frames[:_DEEPEST]:
        if look.index.places.site(frame).function == function:
            given = operands_of(look.index.places.node_at(frame))
            return [ast.unparse(one) for one in given if isinstance(one, ast.Name | ast.Attribute)]
    return []


def _at_loop_end(look: Look, place: Place, loop: ast.stmt, carried: _Carried, call: Call) -> Candidates:
    """The names that the loop assigns and takes over."""
    body = getattr(loop, "body", [])
    code = look.index.places.code(place)
    source = code.source_code
    assigned = {ast.unparse(part) for one in body for part in _assigned(one)}
    assigned |= {text for one in body if (text := written_into(code, one)) is not None}
    given = {name: name if name in assigned else name.partition(".")[0] for name in carried.names}
    own = {
        name: many
        for name, many in carried.names.items()
        if given[name] in assigned and _is_taken_over(body, given[name])
    }
    last = body[-1]
    if not own or not source.is_alone(node_position(last)):
        return
    indent = source.indent_of(body[0])
    lines = [
        f"{name} = tuple(one.detach() for one in {name})" if many else f"{name} = {name}.detach()"
        for name, many in own.items()
    ]
    site = Statement(place.file, look.index.places.code(place), last, None)
    text = "".join(f"\n{indent}{line}" for line in lines)
    fits = carried.named and not _loses_gradient(look, carried, call) and not _jumps(body)
    yield Candidate(site, [behind(last, text)], fits)


def _jumps(body: list[ast.stmt]) -> bool:
    """Whether a turn may end before its last line."""
    return any(isinstance(one, ast.Continue) for statement in body for one in ast.walk(statement))


def _assigned(statement: ast.stmt) -> list[ast.expr]:
    if isinstance(statement, ast.AugAssign):
        return [statement.target]
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return [part for one in targets for part in (one.elts if isinstance(one, ast.Tuple) else [one])]


def _is_taken_over(body: list[ast.stmt], name: str) -> bool:
    """Whether a loop's body reads a name before, or where, it assigns it."""
    for statement in body:
        loads = [one for one in ast.walk(statement) if isinstance(one, ast.Name | ast.Attribute)]
        if any(ast.unparse(one) == name and isinstance(one.ctx, ast.Load) for one in loads):
            return True
        if isinstance(statement, ast.AugAssign) and ast.unparse(statement.target) == name:
            return True
        if name in {ast.unparse(part) for part in _assigned(statement)}:
            return False
    return False


def _before_loop(look: Look, place: Place, loop: ast.stmt, carried: _Carried, call: Call) -> Candidates:
    """What is made once above the loop is detached there."""
    code = look.index.places.code(place)
    source = code.source_code
    block = source.block_of(loop)
    above = block[: block.index(loop)]
    inside = {ast.unparse(part) for one in ast.walk(loop) if isinstance(one, ast.stmt) for part in _assigned(one)}
    for statement in reversed(above):
        targets = {ast.unparse(part) for part in _assigned(statement)}
        found = [name for name in carried.names if name in targets and name not in inside]
        if (
            found
            and isinstance(statement, ast.Assign)
            and len(targets) == 1
            and source.is_alone(node_position(statement))
        ):
            value = source.text_of(statement.value)
            text = f"{value}.detach()" if isinstance(statement.value, ast.Call | ast.Name) else f"({value}).detach()"
            site = Statement(place.file, code, statement, None)
            made = _is_made_at(look, site, carried)
            alone = len(carried.tensors) == 1 and not isinstance(statement.value, ast.Constant)
            fits = carried.named and alone and made and not _loses_gradient(look, carried, call)
            yield Candidate(site, [in_place_of(statement.value, text)], fits)
            return


def _is_made_at(look: Look, site: Statement, carried: _Carried) -> bool:
    """Whether the graph of what is carried was made by a statement: `bank[i] = z` in the loop gives it one later."""
    trace, span = look.index.trace, node_position(site.statement)
    steps = [trace.node_by_id[node].step for node in carried.nodes if node in trace.node_by_id]
    return bool(steps) and all(
        step is not None and look.is_inside(trace.calls[step], site.file, span) for step in steps
    )


def _loses_gradient(look: Look, carried: _Carried, second: Call) -> bool:
    """Whether some leaf has no other path from the loss than through what is to be detached."""
    trace = look.index.trace
    walk = next((one for one in trace.walks if one.is_backward and one.step == second.step), None)
    if walk is None:
        return True
    cut = carried.nodes
    kept: set[NodeId] = set()
    left = [node for node in walk.roots if node not in cut]
    while left:
        node = left.pop()
        if node in kept or node not in trace.node_by_id:
            continue
        kept.add(node)
        left += [edge.node for edge in trace.node_by_id[node].edges if edge.node not in cut]
    leaves = [trace.node_by_id[node].leaf for node in walk.reached]
    still = {trace.node_by_id[node].leaf for node in kept}
    return any(leaf is not None and leaf not in still for leaf in leaves)

"""Other orders: a write behind the backward that needs the old values, or the forward once more behind the write."""

from __future__ import annotations

import ast

from inplace.checks.finding import Finding
from inplace.facts.model import Call, GraphWalk, Kind, NodeId, Position, TensorId
from inplace.facts.source_code import called_name, node_position
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.editing import in_front_of
from inplace.fixes.rules import behind_backward, runs_backward
from inplace.fixes.statement import Statement
from inplace.reading.source.code import root_of

_CALLERS = 4  # frames looked at


def moves_behind(look: Look, finding: Finding) -> Candidates:
    """A write that comes between forward and backward goes behind the backward, in the same block."""
    sites = [site for _, site in look.culprits(finding)]
    step = finding.culprits[0].step if finding.culprits else None
    for frame in look.index.trace.calls[step].stack.frames[1:_CALLERS] if step is not None else ():
        site = look.site(look.index.places.at(frame, step))
        sites += [site] if site is not None else []
    for site in sites:
        for edits in behind_backward(site):
            yield Candidate(site, edits, _may_wait(look, finding, site))


def _may_wait(look: Look, finding: Finding, site: Statement) -> bool:
    """Whether a statement does behind the backward what it does here, and nobody misses it until then."""
    moved, block = site.enclosing()
    span = node_position(moved)
    behind = block[block.index(moved) + 1 :]
    backward = next((one for one in behind if runs_backward(one)), None)
    walk = _walk_at(look, finding)
    if backward is None or walk is None or any(runs_backward(one) for one in behind[behind.index(backward) + 1 :]):
        return False
    between = behind[: behind.index(backward) + 1]
    if _stored(moved) & {name for one in between for name in _loaded(one)}:
        return False
    if _loaded(moved) & {name for one in between[:-1] for name in _stored(one) | _acted_on(one)}:
        return False  # it would run with another value, or in another mode, as behind `norm.eval()`
    calls = look.index.trace.calls
    at = [place.step for place in finding.culprits if place.step is not None]
    if any(not look.is_inside(calls[step], site.file, span) for step in at):
        return False
    if not at:  # it was no call that wrote: what is read of an array is not seen
        names = {one.id for one in ast.walk(moved) if isinstance(one, ast.Name)}
        return not names & {name for one in between for name in _loaded(one)}
    return _is_apart(look, site, span, max(at), walk) and not _uses_gradients(look, site, span, walk)


def _walk_at(look: Look, finding: Finding) -> GraphWalk | None:
    """What autograd held before the backward that showed a finding."""
    walks = [walk for walk in look.index.trace.walks if walk.is_backward and walk.step == finding.at]
    return walks[-1] if walks else None


def _is_apart(look: Look, site: Statement, span: Position, last: int, walk: GraphWalk) -> bool:
    """Whether the calls from a write to the backward neither read what was written nor write what was read."""
    calls, states = look.index.trace.calls, look.index.trace.states
    first = last
    while first > 0 and look.is_inside(calls[first - 1], site.file, span):
        first -= 1
    own = [call for call in calls[first : walk.step] if look.is_inside(call, site.file, span)]
    rest = [call for call in calls[first : walk.step] if not look.is_inside(call, site.file, span)]
    written = {states[one.before].storage for call in own for one in look.index.trace.writes(call)} - {None}
    read = {states[one.before].storage for call in own for one in call.inputs} - {None}
    for call in rest:
        given = {states[one.before].storage for one in call.inputs}
        changed = {states[one.before].storage for one in look.index.trace.writes(call)}
        if given & written or changed & read:
            return False
    return True


def _uses_gradients(look: Look, site: Statement, span: Position, walk: GraphWalk) -> bool:
    """Whether a piece of code uses gradients to which the backward adds: it would use other ones behind it."""
    calls = look.calls_inside(site.file, span, walk.step)
    used: set[TensorId] = set()
    for call in calls:
        is_step = call.function.label.endswith(".step")
        if is_step or (call.function.kind is Kind.GETTER and call.function.label == "grad"):
            used.update(look.index.trace.states[one.before].tensor for one in call.inputs)
    nodes = look.index.trace.node_by_id
    reached = {nodes[node].leaf for node in walk.reached}
    text = site.source_code.text(span)
    if ("zero_grad" in text or "clip_grad" in text) or (".step(" in text and not used):
        return True
    return bool(used & reached)


def _stored(statement: ast.stmt) -> set[str]:
    names = [one for one in ast.walk(statement) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)]
    return {one.id for one in names}


def _loaded(statement: ast.stmt) -> set[str]:
    names = [one for one in ast.walk(statement) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)]
    return {one.id for one in names}


def _acted_on(statement: ast.stmt) -> set[str]:
    """The variables whose methods a statement calls for what they do, as `norm.eval()`."""
    calls = [one.value for one in ast.walk(statement) if isinstance(one, ast.Expr) and isinstance(one.value, ast.Call)]
    return {root_of(ast.unparse(one.func)) for one in calls if isinstance(one.func, ast.Attribute)}


# ---------------------------------------------------------------- the forward once more


def runs_again(look: Look, finding: Finding) -> Candidates:
    """What the loss was computed from with the old weights is computed again right before its backward."""
    call = (
        None if finding.at is None or finding.at >= len(look.index.trace.calls) else look.index.trace.calls[finding.at]
    )
    backward = look.site(look.index.places.of(call)) if call is not None else None
    victim = look.site(finding.victim.place) if finding.victim is not None else None
    step = look.site(finding.culprits[0]) if finding.culprits else None
    if call is None or backward is None or victim is None or step is None or backward.file != victim.file:
        return
    source = backward.source_code
    block = source.block_of(backward.statement)
    update = step.enclosing()[0]
    if victim.statement not in block or update not in block or not runs_backward(backward.statement):
        return
    begun, end = block.index(victim.statement), block.index(backward.statement)
    again = _slice(block[begun:end], backward.statement)
    if again is None or not begun < block.index(update) < end or victim.statement not in again:
        return
    indent = source.indent_of(backward.statement)
    text = "".join(f"{_text(backward, one)}\n{indent}" for one in again)
    updates = all(write.before.is_leaf and write.before.requires_grad for write in look.writes_of(finding))
    alone = all(source.is_alone(node_position(one)) for one in again)
    fits = updates and alone and _is_upstream_whole(look, call, again, backward)
    yield Candidate(backward, [in_front_of(backward.statement, text)], fits)


def _text(site: Statement, statement: ast.stmt) -> str:
    return site.source_code.text(node_position(statement))


def _slice(statements: list[ast.stmt], backward: ast.stmt) -> list[ast.stmt] | None:
    """The plain assignments that what backward begins at is made of, in order; None where others assign it too."""
    wanted = _loaded(backward)
    found: list[ast.stmt] = []
    for statement in reversed(statements):
        if _stored(statement) & wanted or _changed(statement) & wanted:
            if not isinstance(statement, ast.Assign) or not all(isinstance(one, ast.Name) for one in statement.targets):
                return None
            found.append(statement)
            wanted |= _loaded(statement)
    return found[::-1]


def _changed(statement: ast.stmt) -> set[str]:
    """The variables that a statement writes through, as far as its form tells."""
    if isinstance(statement, ast.AugAssign):
        return {one.id for one in ast.walk(statement.target) if isinstance(one, ast.Name)}
    node = statement.value if isinstance(statement, ast.Expr) else None
    is_write = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and called_name(node).endswith("_")
    return (
        {one.id for one in ast.walk(node.func) if isinstance(one, ast.Name)}
        if is_write and isinstance(node, ast.Call)
        else set()
    )


def _is_upstream_whole(look: Look, call: Call, again: list[ast.stmt], site: Statement) -> bool:
    """Whether what the repeated lines begin with still has its graph, and every broken save is in these lines."""
    index = look.index
    spans = [node_position(one) for one in again]
    walk = next((one for one in index.trace.walks if one.is_backward and one.step == call.step), None)
    if walk is None:
        return False

    def is_again(node: NodeId) -> bool:
        step = index.trace.node_by_id[node].step
        return step is not None and any(look.is_inside(index.trace.calls[step], site.file, span) for span in spans)

    stale = [use.node for use in walk.uses if use.version != use.version_saved]
    if not all(is_again(node) for node in stale):
        return False
    upstream = {node for node in walk.reached if index.trace.node_by_id[node].saved and not is_again(node)}
    for earlier in index.trace.walks:
        if earlier.is_backward and earlier.step < call.step and upstream & {*earlier.reached}:
            place = index.places.of(index.trace.calls[earlier.step])
            if place is None or "retain_graph=True" not in place.code:
                return False
    return True

"""Changes where a name that stood for a leaf stands for a result: the leaf is updated, or the result becomes one."""

from __future__ import annotations

import ast

from inplace.checks.finding import Finding
from inplace.facts.model import Call, GradMode, Kind, TensorId
from inplace.facts.source_code import LOOPS, node_position
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.editing import in_place_of
from inplace.fixes.rules import updated
from inplace.fixes.statement import Statement


def updates_leaf(look: Look, finding: Finding) -> Candidates:
    """`w = w - lr * w.grad` -> `w -= lr * w.grad` under `torch.no_grad()`."""
    for place, site in look.culprits(finding):
        call = look.call_of(place)
        under = call is not None and call.grad_mode is not GradMode.GRAD
        fits = _is_update(look, finding, site) and not _adds_up(site)
        yield from (Candidate(site, edits, fits) for edits in updated(site, is_off=under))


def _is_update(look: Look, finding: Finding, site: Statement) -> bool:
    """Whether the result has the leaf's shape and dtype, and the statement reads it by the name that it assigns."""
    states = [look.index.history.last_state(one) for one in finding.tensors()]
    leaf, now = (states[0], states[1]) if len(states) > 1 else (None, None)
    targets = getattr(site.statement, "targets", [])
    if leaf is None or now is None or len(targets) != 1:
        return False
    same = leaf.layout.shape == now.layout.shape and leaf.layout.dtype == now.layout.dtype
    value = getattr(site.statement, "value", None)
    by_name = isinstance(value, ast.BinOp) and ast.unparse(value.left) == ast.unparse(targets[0])
    return same and by_name and not _is_waiting(look, leaf.tensor, site)


def _adds_up(site: Statement) -> bool:
    """Whether a loop goes on with the gradient of a leaf, which nobody clears: its turns would add up.

    A result is another leaf in each turn, and begins without one.
    """
    source, target = site.source_code, getattr(site.statement, "targets", [None])[0]
    around = source.statements_around(node_position(site.statement))
    loops = [one for one in around if isinstance(one, LOOPS)]
    if not loops or target is None:
        return False
    text = source.text(node_position(loops[0]))
    clears = any(word in text for word in ("zero_grad", "grad = None", "grad.zero_", "autograd.grad"))
    return not clears and f"{ast.unparse(target)}.grad" in text


def _is_waiting(look: Look, leaf: TensorId, site: Statement) -> bool:
    """Whether a backward that was asked for behind the statement goes to the leaf as it was used before it."""
    steps = [call.step for call in _calls_at(look, site)]
    if not steps:
        return False
    graph = [walk for walk in look.index.trace.walks if walk.is_backward and walk.step > steps[0]]
    starts = look.index.history.columns.nodes_start
    state = look.index.history.last_state(leaf)
    nodes = look.index.trace.node_by_id
    for walk in graph:
        for node in walk.reached:
            early = 0 <= node < starts[steps[0]]
            if early and any(state is not None and one.storage == state.storage for one in nodes[node].saved):
                return True
    return False


def _calls_at(look: Look, site: Statement) -> list[Call]:
    calls = look.calls_inside(site.file, node_position(site.statement))
    return [call for call in calls if call.function.kind is Kind.OP]


def becomes_leaf(look: Look, finding: Finding) -> Candidates:
    """`d = 0.1 * torch.randn(3, requires_grad=True)` -> the same with `.detach().requires_grad_()`."""
    for _, site in look.culprits(finding):
        statement, source = site.statement, site.source_code
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            continue
        values = _results(statement.value)
        if isinstance(statement.targets[0], ast.Tuple | ast.List) and values == [statement.value]:
            continue  # a call gives several out
        edits = [in_place_of(one, f"({source.text_of(one)}).detach().requires_grad_()") for one in values]
        yield Candidate(site, edits, _is_left_alone(look, finding, site))


def _results(value: ast.expr) -> list[ast.expr]:
    """The results that a statement assigns, each of several that stand there."""
    if isinstance(value, ast.Tuple | ast.List):
        return value.elts
    return [value.elt] if isinstance(value, ast.ListComp) else [value]


def _is_own_step(look: Look, site: Statement, leaf: TensorId, name: str) -> bool:
    """Whether a name that stands for a leaf alone gets what is computed of it and of its gradient, in a loop."""
    source = site.source_code
    value = site.statement.value if isinstance(site.statement, ast.Assign) else None
    read = [one for one in ast.walk(value) if isinstance(one, ast.Attribute) and one.attr == "grad"] if value else []
    own = any(ast.unparse(one.value) == name for one in read)
    loops = [one for one in source.statements_around(node_position(site.statement)) if isinstance(one, LOOPS)]
    names = {*look.index.names.of(leaf)}
    return own and bool(loops) and names <= {name} and look.index.trace.tensors[leaf].type != "Parameter"


def _is_left_alone(look: Look, finding: Finding, site: Statement) -> bool:
    """Whether the leaf is used for nothing but the result, which is what the statement assigns to a variable."""
    leaf, *others = finding.tensors()
    if not others or not isinstance(getattr(site.statement, "targets", [None])[0], ast.Name):
        return False
    now = others[0]
    span, index = node_position(site.statement), look.index
    target = ast.unparse(site.statement.targets[0])  # type: ignore[attr-defined]  # an assignment
    if target not in index.names.of(now):
        return False
    held = any(leaf in one.params for one in index.trace.optimizers)
    if not held and _is_own_step(look, site, leaf, target):
        return True
    uses = [index.trace.calls[step] for step, _ in index.history.sightings.get(leaf, ())]
    uses = [call for call in uses if call.nodes and not look.is_inside(call, site.file, span)]
    return not held and not uses and isinstance(site.statement.value, ast.Call | ast.BinOp | ast.UnaryOp)  # type: ignore[attr-defined]

"""Changes of what is given to a tensor that can't have it: another dtype or shape, a view that its memory forbids."""

from __future__ import annotations

import ast

from inplace.checks.finding import Finding
from inplace.facts.model import TensorState
from inplace.facts.source_code import called_name, node_position
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.editing import Edit, behind, in_place_of, lines_gone
from inplace.fixes.rules import operand
from inplace.fixes.statement import Statement
from inplace.reading.source.code import root_of

_FLOATS = ("float", "bfloat", "complex")
_APPLYING = frozenset({"apply_", "map_", "map2_"})


# ---------------------------------------------------------------- leaves


def given_alike(look: Look, finding: Finding) -> Candidates:
    """`w.grad = g` -> `w.grad = g.to(w.dtype)`, `p.data = q` -> `p.data = q.to(p.dtype)`, where only that was wrong."""
    for _, site in look.culprits(finding):
        statement, source = site.statement, site.source_code
        target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
        if not isinstance(target, ast.Attribute) or target.attr not in {"grad", "data"}:
            continue
        assert isinstance(statement, ast.Assign)
        leaf, given = _leaf(look, finding), _given(look, site, statement.value, finding)
        held, value = source.text_of(target.value), operand(source, statement.value)
        if leaf is None or given is None or not leaf.layout.dtype.startswith(_FLOATS):
            continue
        text = value
        if given.layout.shape != leaf.layout.shape and target.attr == "grad":
            text += f".reshape({held}.shape)"
        if given.layout.dtype != leaf.layout.dtype:
            text += f".to({held}.dtype)"
        real = leaf.layout.dtype.startswith("complex") or not given.layout.dtype.startswith("complex")
        same = given.layout.numel == leaf.layout.numel or target.attr == "data"
        if text != value:
            yield Candidate(site, [in_place_of(statement.value, text)], real and same)


def _leaf(look: Look, finding: Finding) -> TensorState | None:
    return next((look.index.history.last_state(one) for one in finding.tensors()), None)


def _alike(one: TensorState, two: TensorState) -> bool:
    return one.layout.shape == two.layout.shape and one.layout.dtype == two.layout.dtype


def _given(look: Look, site: Statement, value: ast.expr, finding: Finding) -> TensorState | None:
    """What was assigned: the last argument of the refused call, else what the expression stood for."""
    trace, step = look.index.trace, finding.culprits[0].step
    call = trace.calls[step] if step is not None and step < len(trace.calls) else None
    if call is not None and len(call.inputs) > 1 and call.raised is not None:
        return trace.states[call.inputs[-1].before]
    return _value(look, site, value)


def _value(look: Look, site: Statement, value: ast.expr) -> TensorState | None:
    """What an expression stood for: what its last call gave out, else the one tensor of that name."""
    made = [one for one in look.calls_inside(site.file, node_position(value)) if one.outputs]
    if made:
        return look.index.trace.states[made[-1].outputs[-1]]
    named = [tensor for tensor, names in look.index.names.seen.items() if ast.unparse(value) in names]
    return look.index.history.last_state(named[-1]) if len(named) == 1 else None


def copies_into(look: Look, finding: Finding) -> Candidates:
    """`w.set_(t)` of a leaf -> `w.copy_(t)` under `no_grad`, `w.apply_(f)` -> a copy that `f` was applied to."""
    for _, site in look.culprits(finding):
        node, statement, source = site.node, site.statement, site.source_code
        if not isinstance(statement, ast.Expr) or statement.value is not node or not isinstance(node, ast.Call):
            continue
        if not isinstance(node.func, ast.Attribute):
            continue
        held, method = source.text_of(node.func.value), node.func.attr
        arguments = source.text_of(node).removeprefix(source.text_of(node.func))
        fits = False
        if method in _APPLYING:
            given, fits = f"{held}.detach().clone().{method}{arguments}", True
        elif method == "set_" and len(node.args) == 1:
            given, own, other = source.text_of(node.args[0]), _leaf(look, finding), _value(look, site, node.args[0])
            fits = own is not None and other is not None and _alike(own, other)
        else:
            continue
        text = f"with torch.no_grad():\n{source.indent_of(statement)}    {held}.copy_({given})"
        yield Candidate(
            site, [in_place_of(statement, text)], fits and isinstance(node.func.value, ast.Name | ast.Attribute)
        )


# ---------------------------------------------------------------- views


def reshapes(look: Look, finding: Finding) -> Candidates:
    """`h.view(6)` of a transposed tensor -> `h.reshape(6)`, where nobody writes to what comes of it."""
    for _, site in look.culprits(finding):
        source = site.source_code
        whole = site.node if site.node is not None else site.statement
        found = [
            one for one in ast.walk(whole) if isinstance(one, ast.Call) and called_name(one) in {"view", "view_as"}
        ]
        if len(found) > 1:
            found = [one for one in found if one is site.node]
        if len(found) == 1 and isinstance(found[0].func, ast.Attribute):
            function = found[0].func
            name = "reshape" if function.attr == "view" else "reshape_as"
            text = f"{source.text_of(function.value)}.{name}"
            targets = {ast.unparse(one) for one in getattr(site.statement, "targets", [])}
            written = any(_is_written(site, name) for name in targets) or isinstance(site.statement, ast.AugAssign)
            yield Candidate(site, [in_place_of(function, text)], fits=not written)
            return


def _is_written(site: Statement, name: str) -> bool:
    """Whether a source writes to a name in place, by the form of its statements."""
    for one in site.source_code.statements:
        if isinstance(one, ast.AugAssign) and ast.unparse(one.target).partition("[")[0] == name:
            return True
        if isinstance(one, ast.Assign) and any(
            isinstance(target, ast.Subscript) and ast.unparse(target.value) == name for target in one.targets
        ):
            return True
        call = one.value if isinstance(one, ast.Expr) and isinstance(one.value, ast.Call) else None
        writes = call is not None and called_name(call).endswith("_")
        held = call.func.value if call is not None and isinstance(call.func, ast.Attribute) else None
        if writes and held is not None and root_of(ast.unparse(held)) == root_of(name):
            return True
    return False


def own_memory(look: Look, finding: Finding) -> Candidates:
    """`torch.from_numpy(a)` of what is to change its size -> `torch.tensor(a)`, where the array is not read later."""
    for place in finding.culprits[1:]:
        site = look.site(place)
        node = site.node if site is not None else None
        if site is None or not isinstance(node, ast.Call) or called_name(node) != "from_numpy" or len(node.args) != 1:
            continue
        if not isinstance(node.func, ast.Attribute):
            continue
        text = f"{site.source_code.text_of(node.func.value)}.tensor"
        name = ast.unparse(node.args[0])
        later = look.ownership(site, []).is_loaded_later(name)
        yield Candidate(site, [in_place_of(node.func, text)], fits=not later)


def views_later(look: Look, finding: Finding) -> Candidates:
    """`rows = x.unbind()` before `x.mul_(2)` goes behind it: the new views have what was written."""
    site = look.site(finding.culprits[0]) if finding.culprits else None
    if site is None or finding.victim is None:
        return
    source = site.source_code
    block = source.block_of(site.statement)
    before = block[: block.index(site.statement)]
    storages = {write.before.storage for write in look.writes_of(finding)}
    for taken in reversed(before):
        if (
            not isinstance(taken, ast.Assign)
            or not isinstance(taken.value, ast.Call)
            or not source.is_alone(node_position(taken))
        ):
            continue
        calls = [one for one in look.calls_inside(site.file, node_position(taken)) if len(one.outputs) > 1]
        states = look.index.trace.states
        if not any(states[output].storage in storages for one in calls for output in one.outputs):
            continue
        names = {n.id for n in ast.walk(taken) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        between = block[block.index(taken) + 1 : block.index(site.statement) + 1]
        used = {n.id for one in between for n in ast.walk(one) if isinstance(n, ast.Name)}
        text = source.text_of(taken)
        gone = lines_gone(taken.lineno, taken.end_lineno or taken.lineno)
        there: Edit = behind(site.statement, f"\n{source.indent_of(site.statement)}{text}")
        yield Candidate(site, [gone, there], fits=not names & used)
        return

"""Changes where something was asked for that could not be had: a gradient, an array, a conversion, a registration."""

from __future__ import annotations

import ast
from typing import TypeGuard

from inplace.checks.finding import Finding
from inplace.facts.model import Call, GradMode, Kind, TensorId
from inplace.facts.source_code import SourceCode, called_name, node_position
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.editing import behind, in_front_of, in_place_of
from inplace.fixes.rules import operand, runs_backward, under_enable_grad, with_keyword
from inplace.fixes.statement import Statement, function_around

_OF_VALUES = frozenset({"tensor", "full"})
_FACTORIES = frozenset({"randn", "rand", "zeros", "ones", "tensor", "full", "linspace", "empty", "eye"})


def retains_gradient(look: Look, finding: Finding) -> Candidates:
    """`h.retain_grad()` behind the line that made `h`, whose `.grad` is read after a backward."""
    for place, site in look.culprits(finding):
        node = site.node
        is_read = isinstance(node, ast.Attribute) and node.attr == "grad" and isinstance(node.ctx, ast.Load)
        if not is_read or not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            continue
        name, code = node.value.id, look.index.places.code(place)
        above = code.assignment_above(place.position, name)
        made = code.statement(above) if above is not None else None
        if made is None or not site.source_code.is_alone(node_position(made)):
            continue
        edit = behind(made, f"\n{site.source_code.indent_of(made)}{name}.retain_grad()")
        call = look.call_of(place)
        state = look.index.trace.states[call.inputs[0].before] if call is not None and call.inputs else None
        fits = state is not None and state.requires_grad and not state.is_leaf and _is_behind(look, site, made, call)
        yield Candidate(site.beside(made, None), [edit], fits)


def _is_behind(look: Look, site: Statement, made: ast.stmt, read: Call | None) -> bool:
    """Whether a backward came between the making of a tensor and a read of its gradient, in one function."""
    backwards = look.index.history.columns.steps_of(lambda one: one.kind is Kind.BACKWARD)
    same = function_around(site.source_code, made) is function_around(site.source_code, site.statement)
    return same and read is not None and any(step < read.step for step in backwards)


def detaches_name(look: Look, finding: Finding) -> Candidates:
    """`h.requires_grad = False` of a result -> `h = h.detach()`."""
    for _, site in look.culprits(finding):
        statement, node = site.statement, site.node
        target: ast.AST | None = None
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Attribute):
            flag, attribute = statement.value, statement.targets[0]
            is_off = isinstance(flag, ast.Constant) and flag.value is False and attribute.attr == "requires_grad"
            target = attribute.value if is_off else None
        elif isinstance(statement, ast.Expr) and isinstance(node, ast.Call) and called_name(node) == "requires_grad_":
            is_off = [ast.unparse(one) for one in node.args] == ["False"]
            target = node.func.value if is_off and isinstance(node.func, ast.Attribute) else None
        if isinstance(target, ast.Name):
            fits = _is_own_variable(site, target.id)
            yield Candidate(site, [in_place_of(statement, f"{target.id} = {target.id}.detach()")], fits)


def _is_own_variable(site: Statement, name: str) -> bool:
    """Whether a name is assigned in the function of a statement, by something else than a loop, and put nowhere."""
    source = site.source_code
    function = function_around(source, site.statement)
    scope: ast.AST = function if function is not None else source.tree
    assigned = False
    for node in ast.walk(scope):
        if isinstance(node, ast.For) and name in {one.id for one in ast.walk(node.target) if isinstance(one, ast.Name)}:
            return False
        if isinstance(node, ast.Assign):
            assigned = assigned or any(ast.unparse(one) == name for one in node.targets)
            if ast.unparse(node.value) == name:
                return False
        is_kept = isinstance(node, ast.Call) and called_name(node) in {"append", "add", "insert"}
        if is_kept and isinstance(node, ast.Call) and any(ast.unparse(one) == name for one in node.args):
            return False
    return assigned


def makes_leaf(look: Look, finding: Finding) -> Candidates:
    """`w = torch.randn(3)` -> `w = torch.randn(3, requires_grad=True)`, where it is known which is to be trained."""
    found = []
    for place in finding.culprits:
        site = look.site(place)
        node = site.node if site is not None else None
        if site is None or not isinstance(node, ast.Call) or called_name(node) not in _FACTORIES:
            return
        call = look.call_of(place)
        dtypes = {look.index.trace.states[one].layout.dtype for one in call.outputs} if call is not None else set()
        is_float = bool(dtypes) and all("float" in one for one in dtypes)
        names = {ast.unparse(one) for one in getattr(site.statement, "targets", [])}
        leads = call is not None and len(call.outputs) == 1 and _leads_on(look, call, finding)
        leads = leads and not _may_come_of_tensors(look, call, node)
        found.append((site, node, is_float and leads, names))
    read = [one for one in found if any(_reads_gradient(one[0].source_code, name) for name in one[3])]
    wanted = read or found
    for site, node, is_float, _ in wanted[:1]:
        plain = not any(keyword.arg == "requires_grad" for keyword in node.keywords)
        fits = len(wanted) == 1 and is_float and plain and site.statement.__class__ is ast.Assign
        yield Candidate(site, [with_keyword(site.source_code, node, "requires_grad=True")], fits)


def _may_come_of_tensors(look: Look, call: Call | None, node: ast.Call) -> bool:
    """Whether a tensor was made of values of an earlier run, of which it isn't known where they came from."""
    given = [part for one in (*node.args, *node.keywords) for part in ast.walk(one)]
    is_named = called_name(node) in _OF_VALUES and any(isinstance(one, ast.Name) for one in given)
    return is_named and call is not None and call.step < look.index.trace.begin


def _leads_on(look: Look, made: Call, finding: Finding) -> bool:
    """Whether a gradient path would lead from a new leaf to what was asked for, and nobody writes to the leaf."""
    trace, history = look.index.trace, look.index.history
    leaf = trace.states[made.outputs[0]]
    if leaf.storage is None or history.writes_to.get(leaf.storage):
        return False
    return bool(look.led_to({leaf.tensor}) & _asked(look, finding))


def _asked(look: Look, finding: Finding) -> set[TensorId]:
    """What a gradient was asked of: what the refused call was given, else what the line mentions."""
    trace, raised = look.index.trace, sorted(look.index.history.columns.raised)
    if raised:
        return {trace.states[one.before].tensor for one in trace.calls[raised[-1]].inputs}
    if finding.victim is None:
        return set()
    mentioned = set(look.index.names.at(finding.victim.place))
    named = look.index.names
    return {tensor for tensor in {*named.seen, *named.given} if mentioned & {*named.of(tensor)}}


def _reads_gradient(source: SourceCode, name: str) -> bool:
    return any(
        isinstance(one, ast.Attribute) and one.attr in {"grad", "retain_grad"} and ast.unparse(one.value) == name
        for one in source.nodes
    )


def keeps_graph(look: Look, finding: Finding) -> Candidates:
    """`torch.autograd.grad(u, x)` -> the same with `create_graph=True`."""
    victim = look.call_of(finding.victim.place) if finding.victim is not None else None
    refused = victim is not None and victim.function.kind is Kind.BACKWARD
    for place, site in look.culprits(finding):
        call = look.call_of(place)
        fits = not refused or (call is not None and look.is_differentiated(call, finding))
        for node in ast.walk(site.statement):
            is_grad = (
                isinstance(node, ast.Call) and called_name(node) == "grad" and "autograd" in ast.unparse(node.func)
            )
            if is_grad and isinstance(node, ast.Call) and not any(one.arg == "create_graph" for one in node.keywords):
                yield Candidate(site, [with_keyword(site.source_code, node, "create_graph=True")], fits)


def floats(look: Look, finding: Finding) -> Candidates:
    """What can't require grad is made floating point, or a parameter that is not trained."""
    for _, site in look.culprits(finding):
        node, statement = site.node, site.statement
        if not isinstance(node, ast.Call):
            continue
        if called_name(node) == "Parameter" and len(node.args) == 1 and not node.keywords:
            yield Candidate(site, [with_keyword(site.source_code, node, "requires_grad=False")], fits=True)
        elif called_name(node) == "requires_grad_" and isinstance(node.func, ast.Attribute):
            name = ast.unparse(node.func.value)
            if isinstance(statement, ast.Expr) and isinstance(node.func.value, ast.Name):
                indexed = any(
                    isinstance(one, ast.Subscript) and ast.unparse(one.slice) == name for one in site.source_code.nodes
                )
                edit = in_front_of(statement, f"{name} = {name}.float()\n{site.source_code.indent_of(statement)}")
                yield Candidate(site, [edit], _is_own_variable(site, name) and not indexed)


def views_recorded(look: Look, finding: Finding) -> Candidates:
    """A view that was made under `no_grad`, and is written to or whose base is, is made where autograd records."""
    trace = look.index.trace
    for place in finding.culprits[:1]:
        call = look.call_of(place)
        states = [trace.states[one.before] for one in call.inputs] if call is not None else []
        written = states[0] if states else None
        if call is None or written is None or written.storage is None:
            continue
        makers = []
        for tensor in look.index.history.tensors_of.get(written.storage, ()):
            maker = look.index.history.maker(tensor, call.step)
            state = look.index.history.last_state(tensor)
            is_view = state is not None and state.creation == "no_grad_mode"
            if is_view and maker is not None and look.index.places.apply_frame(maker) is None:
                makers.append(maker)
        base = look.index.history.last_state(written.base) if written.base is not None else written
        sites = [look.site(look.index.places.of(maker)) for maker in makers]
        if len(sites) == 1 and sites[0] is not None and sites[0].is_one_line:
            fits = base is not None and not base.is_leaf and not _is_saved(look, written.storage)
            fits = fits and makers[0].grad_mode is GradMode.NO_GRAD and isinstance(sites[0].statement, ast.Assign)
            yield Candidate(sites[0], under_enable_grad(sites[0]), fits)


def _is_saved(look: Look, storage: int) -> bool:
    """Whether a node is known to have saved some bytes."""
    return any(one.storage == storage for node in look.index.trace.nodes for one in node.saved)


# ---------------------------------------------------------------- exports and conversions


def exports_detached(look: Look, finding: Finding) -> Candidates:
    """`np.log(pred)` -> `np.log(pred.detach())`, where no backward comes of it."""
    place = finding.victim.place if finding.victim is not None else next(iter(finding.culprits), None)
    site = look.site(place)
    if site is None or place is None:
        return
    names = {name for tensor in finding.tensors() for name in look.index.names.of(tensor)}
    whole = site.source_code.node(place.position)
    node = whole if whole is not None else site.statement
    parts = [
        one for one in ast.walk(node) if isinstance(one, ast.expr) and isinstance(getattr(one, "ctx", None), ast.Load)
    ]
    found = [one for one in parts if ast.unparse(one) in names]
    if len(found) != 1:
        return
    # Where the statement hands the same over again, that would be refused next.
    again = [one for one in ast.walk(site.statement) if _is_handed_to_numpy(one, ast.unparse(found[0]))]
    if len(again) > 1 and not any(one.value is found[0] for one in again):
        return
    reached = look.index.flow(place).from_(place.position)
    code = site.source_code
    backward = any(runs_backward(one) for at in reached if (one := code.statement(at)) is not None)
    text = f"{operand(code, found[0])}.detach()"
    if len(again) > 1:
        edits = [in_place_of(one.value, text) for one in again]
        yield Candidate(site, edits, not backward and _is_only_read(site))
        return
    around = [one for one in ast.walk(site.statement) if isinstance(one, ast.Attribute) and one.value is found[0]]
    if getattr(finding, "how", "") == "numpy" and not any(one.attr == "numpy" for one in around):
        text += ".numpy()"
    yield Candidate(site, [in_place_of(found[0], text)], not backward and _is_only_read(site))


def _is_handed_to_numpy(node: ast.AST, name: str) -> TypeGuard[ast.Attribute]:
    """Whether an expression is the `numpy` of a variable."""
    return isinstance(node, ast.Attribute) and node.attr == "numpy" and ast.unparse(node.value) == name


def _is_only_read(site: Statement) -> bool:
    return isinstance(site.statement, ast.Assign | ast.Expr | ast.Return)


def casts_value(look: Look, finding: Finding) -> Candidates:
    """`out.scatter_add_(0, i, src)` -> the same with `src.to(out.dtype)`."""
    for place, site in look.culprits(finding):
        call, node = look.call_of(place), site.node
        name = site.written_name()
        if call is None or not isinstance(node, ast.Call) or name is None or not isinstance(node.func, ast.Attribute):
            continue
        states = look.index.trace.states
        own = states[call.inputs[0].before].layout.dtype if call.inputs else ""
        wrong = [
            one
            for one in call.inputs[1:]
            if "float" in states[one.before].layout.dtype and states[one.before].layout.dtype != own
        ]
        if len(wrong) != 1 or not wrong[0].path.isdigit() or not 0 < int(wrong[0].path) <= len(node.args):
            continue
        value = node.args[int(wrong[0].path) - 1]
        target = site.source_code.text_of(node.func.value)
        text = f"{operand(site.source_code, value)}.to({target}.dtype)"
        yield Candidate(site, [in_place_of(value, text)], "float" in own)

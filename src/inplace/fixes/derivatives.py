"""Changes of what is differentiated: a scalar, a function with a finite derivative, the tensor that went in."""

from __future__ import annotations

import ast

from inplace.checks.finding import Finding
from inplace.facts.model import Call, TensorId
from inplace.facts.source_code import called_name, node_position
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.editing import behind, in_front_of, in_place_of
from inplace.fixes.rules import operand
from inplace.fixes.statement import Statement, is_module
from inplace.reading.trace.place import Place

_LEAST = {"log": "1e-8", "log2": "1e-8", "log10": "1e-8", "sqrt": "1e-12", "rsqrt": "1e-12"}
_FLAT = frozenset({"round", "floor", "ceil", "trunc", "fix", "sign", "sgn", "heaviside"})
_VIEWS = frozenset({"__getitem__", "select", "narrow"})  # parts of a tensor: their gradient is that part of its


# ---------------------------------------------------------------- a scalar


def reduces(look: Look, finding: Finding) -> Candidates:
    """`loss.backward()` of several elements -> `loss.mean().backward()`."""
    for place, site in look.culprits(finding):
        node, source = site.node, site.source_code
        call = look.call_of(place)
        given = call.inputs if call is not None else ()
        if (
            not isinstance(node, ast.Call)
            or not isinstance(node.func, ast.Attribute)
            or called_name(node) != "backward"
        ):
            continue
        held = node.func.value
        if is_module(held) or len(given) > 1:
            continue
        name = held.id if isinstance(held, ast.Name) else None
        read = name is not None and _is_read_behind(site, name)
        if read:
            edit = in_front_of(site.statement, f"{name} = {name}.mean()\n{source.indent_of(site.statement)}")
        else:
            edit = in_place_of(held, f"{operand(source, held)}.mean()")
        yield Candidate(site, [edit], fits=isinstance(site.statement, ast.Expr))


def _is_read_behind(site: Statement, name: str) -> bool:
    end = node_position(site.statement).end
    nodes = site.source_code.names.get(name, ())
    return any(node_position(one).start > end and isinstance(one.ctx, ast.Load) for one in nodes)


# ---------------------------------------------------------------- a finite derivative


def keeps_away(look: Look, finding: Finding) -> Candidates:
    """`p.log()` -> `p.clamp_min(1e-8).log()`, where the derivative was infinite at an argument of zero."""
    sites = list(look.culprits(finding))
    for _, site in sites:
        node, source = site.node, site.source_code
        if not isinstance(node, ast.Call) or called_name(node) not in _LEAST:
            continue
        least = _LEAST[called_name(node)]
        method = isinstance(node.func, ast.Attribute) and not is_module(node.func.value)
        named = (keyword.value for keyword in node.keywords if keyword.arg == "input")
        first = next(iter([*node.args, *named]), None)
        given = node.func.value if method and isinstance(node.func, ast.Attribute) else first
        if given is not None:
            edit = in_place_of(given, f"{operand(source, given)}.clamp_min({least})")
            lines = {place.position.line for place in finding.culprits}
            yield Candidate(site, [edit], fits=len(lines) == 1)


def passes_straight(look: Look, finding: Finding) -> Candidates:
    """`torch.round(w)` -> `w + (torch.round(w) - w).detach()`: the same values, and the gradient of `w` itself."""
    for _, site in look.culprits(finding):
        source = site.source_code
        whole = site.node if site.node is not None else site.statement
        found = [one for one in ast.walk(whole) if isinstance(one, ast.Call) and called_name(one) in _FLAT]
        if len(found) != 1 or not isinstance(found[0].func, ast.Attribute):
            continue
        node = found[0]
        assert isinstance(node.func, ast.Attribute)
        given = next(iter(node.args), None) if is_module(node.func.value) else node.func.value
        if given is None or any(isinstance(one, ast.Call) for one in ast.walk(given)):
            continue
        binds = isinstance(given, ast.BinOp) and isinstance(given.op, ast.Mult | ast.Div | ast.MatMult | ast.Pow)
        inner = source.text_of(given) if binds else operand(source, given)
        text = f"{inner} + ({source.text_of(node)} - {inner}).detach()"
        text = text if getattr(site.statement, "value", None) is node else f"({text})"
        yield Candidate(site, [in_place_of(node, text)], fits=called_name(node) not in {"sign", "sgn", "heaviside"})


# ---------------------------------------------------------------- the tensor that went in


def asks_whole(look: Look, finding: Finding) -> Candidates:
    """`grad(u.sum(), t)` of a part `t = x[:, 1]` of what went in -> `grad(u.sum(), x)[0][:, 1]`."""
    call = look.index.ending.call if look.index.ending is not None else None
    site = look.site(finding.victim.place) if finding.victim is not None else None
    taken = look.site(finding.culprits[0]) if finding.culprits else None
    made = look.call_of(finding.culprits[0]) if finding.culprits else None
    if call is None or site is None or taken is None or made is None:
        return
    view = taken.node
    if made.function.label not in _VIEWS or not isinstance(view, ast.Subscript) or taken.file != site.file:
        return
    parents = {child: one for one in ast.walk(site.statement) for child in ast.iter_child_nodes(one)}
    asks = [one for one in parents if isinstance(one, ast.Call) and called_name(one) == "grad" and len(one.args) > 1]
    asked = asks[0].args[1] if len(asks) == 1 else None
    items = asked.elts if isinstance(asked, ast.List | ast.Tuple) else [asked]
    names = {ast.unparse(one) for one in getattr(taken.statement, "targets", [])}
    if len(items) != 1 or not isinstance(items[0], ast.Name) or items[0].id not in names:
        return
    source, outer = site.source_code, parents[asks[0]]
    base = source.text_of(view.value)
    part = source.text_of(view).removeprefix(base)
    edits = [in_place_of(items[0], base)]
    target = outer.targets[0] if isinstance(outer, ast.Assign) else None
    if isinstance(target, ast.Tuple) and len(target.elts) == 1:
        edits += [in_place_of(target, source.text_of(target.elts[0])), behind(asks[0], f"[0]{part}")]
    elif isinstance(outer, ast.Subscript):
        edits += [behind(outer, part)]
    else:
        return
    yield Candidate(site, edits, fits=_is_used(look, look.index.trace.states[made.inputs[0].before].tensor, call))


def _is_used(look: Look, tensor: TensorId, ask: Call) -> bool:
    """Whether the graph of what a gradient was asked of goes to a tensor."""
    states = look.index.trace.states
    roots = {states[one.before].node for one in ask.inputs if one.path.startswith(("0", "outputs"))}
    nodes = look.index.trace.node_by_id
    state = look.index.history.last_state(tensor)
    left, seen = [one for one in roots if one is not None], set()
    while left:
        node = left.pop()
        if node in seen or node not in nodes:
            continue
        seen.add(node)
        if nodes[node].leaf == tensor or (state is not None and state.node == node):
            return True
        left += [edge.node for edge in nodes[node].edges]
    return False


# ---------------------------------------------------------------- hooks, copies


def hooks_gradient(look: Look, finding: Finding) -> Candidates:
    """`h.register_post_accumulate_grad_hook(lambda t: f(t.grad))` -> `h.register_hook(lambda grad: f(grad))`."""
    place = finding.victim.place if finding.victim is not None else next(iter(finding.culprits), None)
    site = look.site(place)
    calls = [one for one in ast.walk(site.statement) if isinstance(one, ast.Call)] if site is not None else []
    calls = [one for one in calls if called_name(one) == "register_post_accumulate_grad_hook"]
    if site is None or len(calls) != 1 or len(calls[0].args) != 1 or not isinstance(calls[0].func, ast.Attribute):
        return
    hook, source = calls[0].args[0], site.source_code
    if not isinstance(hook, ast.Lambda) or len(hook.args.args) != 1:
        return
    name = hook.args.args[0].arg
    grads = [
        one for one in ast.walk(hook.body) if isinstance(one, ast.Attribute) and ast.unparse(one) == f"{name}.grad"
    ]
    names = [one for one in ast.walk(hook.body) if isinstance(one, ast.Name) and one.id == name]
    if len(grads) != len(names):
        return
    body = source.text_of(hook.body).replace(f"{name}.grad", "grad")
    given = isinstance(hook.body, ast.Constant) and hook.body.value is None
    told = isinstance(hook.body, ast.Call) and called_name(hook.body) in {"append", "print"}
    edits = [
        in_place_of(calls[0].func, f"{source.text_of(calls[0].func.value)}.register_hook"),
        in_place_of(hook, f"lambda grad: {body}"),
    ]
    yield Candidate(site, edits, fits=given or told)


def detaches_attribute(look: Look, finding: Finding) -> Candidates:
    """`copy.deepcopy(net)` with a result on the net -> `net.cache = net.cache.detach()` before it."""
    place = _copying(finding)
    site = look.site(place)
    if site is None or place is None:
        return
    calls = [one for one in ast.walk(site.statement) if isinstance(one, ast.Call) and called_name(one) == "deepcopy"]
    if len(calls) != 1 or len(calls[0].args) != 1:
        return
    held, source = site.source_code.text_of(calls[0].args[0]), site.source_code
    paths = _results_on(look, held)
    if held in paths:
        yield Candidate(site, [in_place_of(calls[0], f"{held}.detach().clone()")], fits=True)
        return
    if paths and all(path.startswith(f"{held}.") and "[" not in path for path in paths):
        indent = source.indent_of(site.statement)
        text = "".join(f"{path} = {path}.detach()\n{indent}" for path in paths)
        yield Candidate(site, [in_front_of(site.statement, text)], fits=_is_gone_through(look, paths))


def _copying(finding: Finding) -> Place | None:
    return finding.victim.place if finding.victim is not None else next(iter(finding.culprits), None)


def _results_on(look: Look, held: str) -> list[str]:
    """The names, from a variable on, of tensors that are results of recorded calls."""
    found = []
    for tensor, names in look.index.names.seen.items():
        state = look.index.history.last_state(tensor)
        if state is not None and state.requires_grad and not state.is_leaf:
            found += [name for name in names if name == held or name.startswith(f"{held}.")]
    return found


def _is_gone_through(look: Look, paths: list[str]) -> bool:
    """Whether backwards have gone through the graphs of some tensors: nothing more can be asked of these."""
    nodes = {
        state.node
        for tensor, names in look.index.names.seen.items()
        if {*names} & {*paths} and (state := look.index.history.last_state(tensor)) is not None
    }
    walked = {node for walk in look.index.trace.walks if walk.is_backward for node in walk.reached}
    return bool(nodes) and nodes <= walked

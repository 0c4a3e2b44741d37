"""Changes of custom functions and hooks, so that they give out, keep and mark what autograd asks of them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from inplace.checks.finding import Finding
from inplace.facts.source_code import SourceCode, called_name, node_position
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.editing import Edit, behind, in_front_of, in_place_of, line_gone, lines_gone
from inplace.fixes.rules import IN_PLACE
from inplace.fixes.statement import Statement, function_around
from inplace.reading.trace.definitions import parameters
from inplace.reading.trace.ending import Ending

_ARRAY = "numpy.ndarray"


def asked_of_custom(look: Look, finding: Finding) -> Candidates:
    """What the refusal of a custom function or hook asks for, in the lines that it blames."""
    ending = look.index.ending
    rule = _RULES.get(ending.what) if ending is not None else None
    if rule is not None and ending is not None:
        yield from rule(look, finding, ending)


def _returned(site: Statement) -> ast.expr | None:
    """What a `return` statement gives out, or the lambda on its line computes."""
    if isinstance(site.node, ast.Lambda):
        return site.node.body
    return site.statement.value if isinstance(site.statement, ast.Return) else None


def _results(look: Look, finding: Finding) -> Iterator[tuple[Statement, ast.expr]]:
    """The results that a finding blames."""
    for place in finding.culprits:
        site = look.expression(place)
        value = _returned(site) if site is not None else None
        if site is not None and value is not None:
            yield site, value


def _as_one(sites: list[Statement], edits: list[Edit], *, fits: bool) -> Candidates:
    """Edits of one file as one change."""
    if edits and len({site.file for site in sites}) == 1:
        yield Candidate(sites[0], edits, fits)


# ---------------------------------------------------------------- what is given out


def _for_each_argument(look: Look, finding: Finding, ending: Ending) -> Candidates:
    """`return grad * 2` -> `return grad * 2, None`, where the other arguments have no gradient to get."""
    name, expected, got = ending.parts[0].removesuffix("Backward"), int(ending.parts[1]), int(ending.parts[2])
    sites, edits = [], []
    for site, value in _results(look, finding):
        items = value.elts if isinstance(value, ast.Tuple) else [value]
        if len(items) == got < expected:
            sites.append(site)
            edits.append(with_nones(site.source_code, value, expected - got))
    yield from _as_one(sites, edits, fits=are_constants(look, name, got))


def with_nones(source: SourceCode, value: ast.expr, count: int) -> Edit:
    """`grad * 2` -> `grad * 2, None`, with as many as are wanted."""
    nones = ", None" * count
    text = source.text_of(value).rstrip()
    closed = isinstance(value, ast.Tuple) and text.startswith("(")
    inner = text[:-1].rstrip().rstrip(",") if closed else text.rstrip(",")
    return in_place_of(value, f"{inner}{nones})" if closed else f"{inner}{nones}")


def are_constants(look: Look, name: str, first: int) -> bool:
    """Whether a custom function is given, behind its first arguments, nothing that requires grad."""
    nodes = [node for node in look.index.trace.nodes if node.custom and node.name == f"{name}Backward"]
    if any(len(node.edges) > first for node in nodes):
        return False
    trained = {state.tensor for state in look.index.history.last_states() if state.requires_grad}
    named = {one for tensor in trained for one in look.index.names.of(tensor)}
    calls = [call for _, call in look.index.definitions.calls_of("apply") if ast.unparse(call.func) == f"{name}.apply"]
    rest = [one for call in calls for one in call.args[first:]]
    plain = all(isinstance(one, ast.Constant | ast.Name | ast.Attribute | ast.UnaryOp) for one in rest)
    return bool(calls) and plain and not any(ast.unparse(one) in named for one in rest)


def _as_many(look: Look, finding: Finding, ending: Ending) -> Candidates:
    """`return gi[0], gi[0]` -> `return (gi[0],)` of a hook: what comes too much belongs to no input."""
    wanted = int(ending.parts[1])
    sites, edits = [], []
    for site, value in _results(look, finding):
        if isinstance(value, ast.Tuple) and len(value.elts) > wanted > 0:
            kept = ", ".join(site.source_code.text_of(one) for one in value.elts[:wanted])
            text = site.source_code.text_of(value)
            inner = f"{kept}," if wanted == 1 else kept
            is_closed = text.startswith("(") or isinstance(site.node, ast.Lambda)
            sites.append(site)
            edits.append(in_place_of(value, f"({inner})" if is_closed or wanted == 1 else inner))
    yield from _as_one(sites, edits, fits=True)


def _own_view(look: Look, finding: Finding, ending: Ending) -> Candidates:  # noqa: ARG001  # as the others of the table
    """`return x` -> `return x.view_as(x)` in a forward that gives out its input."""
    forward = look.index.definitions.method(ending.failure.custom, "forward")
    sites, edits = [], []
    for one in forward:
        for place in look.index.definitions.results([one]):
            site = look.site(place)
            value = _returned(site) if site is not None else None
            items = value.elts if isinstance(value, ast.Tuple) else [value]
            for item in items if site is not None else ():
                if site is not None and isinstance(item, ast.Name) and item.id in parameters(one):
                    sites.append(site)
                    edits.append(in_place_of(item, f"{item.id}.view_as({item.id})"))
    yield from _as_one(sites, edits, fits=True)


def _tangent_written(look: Look, finding: Finding, _: Ending) -> Candidates:
    """`return t * 2` -> `return t.mul_(2)` in a `jvp` whose forward works in place."""
    for site, value in _results(look, finding):
        around = function_around(site.source_code, site.statement)
        given = [one.arg for one in around.args.args[1:]] if isinstance(around, ast.FunctionDef) else []
        method = IN_PLACE.get(type(value.op)) if isinstance(value, ast.BinOp) else None
        source = site.source_code
        if method is not None and isinstance(value, ast.BinOp):
            is_first = isinstance(value.left, ast.Name) and value.left.id in given
            tangent, other = (value.left, value.right) if is_first else (value.right, value.left)
            either = is_first or isinstance(value.op, ast.Add | ast.Mult)
            if either and isinstance(tangent, ast.Name) and tangent.id in given:
                text = f"{tangent.id}.{method}({source.text_of(other)})"
                yield Candidate(site, [in_place_of(value, text)], fits=True)
        elif isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
            held = value.func.value
            if (
                isinstance(held, ast.Name)
                and held.id in given
                and value.func.attr in {"mul", "add", "sub", "div", "neg"}
            ):
                text = source.text_of(value.func)
                yield Candidate(site, [in_place_of(value.func, f"{text}_")], fits=True)


# ---------------------------------------------------------------- what is kept and marked


def _read_once(look: Look, finding: Finding, _: Ending) -> Candidates:
    """`a = ctx.saved_tensors[0]` and `b = ctx.saved_tensors[1]` -> one `saved = ctx.saved_tensors` before both."""
    for place in finding.culprits[:1]:
        source = look.index.places.code(place).source_code
        function = source.function_around(place.position)
        nodes = list(ast.walk(function)) if function is not None else []
        reads = [one for one in nodes if isinstance(one, ast.Attribute) and one.attr == "saved_tensors"]
        if function is None or len(reads) < 2 or len({ast.unparse(one) for one in reads}) != 1:  # noqa: PLR2004  # once and again
            continue
        name = next(one for one in ("saved", "saved_tensors", "kept") if one not in source.names)
        first = min(reads, key=lambda one: (one.lineno, one.col_offset))
        top = next(one for one in function.body if node_position(one).holds(node_position(first)))
        site = look.site(look.index.places.beside(place, node_position(top)))
        if site is not None:
            begin = in_front_of(top, f"{name} = {source.text_of(first)}\n{source.indent_of(top)}")
            yield Candidate(site, [begin, *(in_place_of(one, name) for one in reads)], fits=True)


def marks(look: Look, finding: Finding) -> Candidates:
    """A forward that changes an input in place and returns it says so: `ctx.mark_dirty(a)` behind the write."""
    for _, site in look.culprits(finding):
        source = site.source_code
        function = source.function_around(node_position(site.statement))
        name = site.written_name()
        given = [one.arg for one in function.args.args] if function is not None else []
        if function is None or name not in given[1:] or site.statement not in function.body:
            continue
        returned = [one.value for one in ast.walk(function) if isinstance(one, ast.Return)]
        whole = all(isinstance(one, ast.Name) and one.id == name for one in returned) and bool(returned)
        marked = any(isinstance(one, ast.Call) and called_name(one) == "mark_dirty" for one in ast.walk(function))
        text = f"\n{source.indent_of(site.statement)}{given[0]}.mark_dirty({name})"
        yield Candidate(site, [behind(site.statement, text)], whole and not marked)


def unmarks(look: Look, finding: Finding) -> Candidates:
    """`ctx.mark_dirty(y)` of what the forward has made itself goes."""
    for _, site in look.culprits(finding):
        node = site.node
        if isinstance(node, ast.Call) and isinstance(site.statement, ast.Expr) and site.statement.value is node:
            others = [one for one in node.args if ast.unparse(one) not in finding.names]
            if others:
                text = ", ".join(site.source_code.text_of(one) for one in others)
                yield Candidate(site, [in_place_of(node, f"{site.source_code.text_of(node.func)}({text})")], fits=True)
            elif len(site.source_code.block_of(site.statement)) > 1:
                yield Candidate(site, [line_gone(site.statement)], fits=True)


def _clone_marked(look: Look, finding: Finding, ending: Ending) -> Candidates:
    """`F.apply(row)` -> `F.apply(row.clone())`, where nobody reads the view or its base later."""
    site = look.site(finding.victim.place) if finding.victim is not None else None
    forward = look.index.definitions.method(ending.failure.custom, "forward")
    node = site.node if site is not None else None
    if site is None or not forward:
        return
    applied = [
        one
        for one in ast.walk(node if node is not None else site.statement)
        if isinstance(one, ast.Call) and ast.unparse(one.func) == f"{ending.failure.custom}.apply"
    ]
    marked = {ast.unparse(a) for call in look.index.definitions.calls_in(forward[0], "mark_dirty") for a in call.args}
    numbers = [number for number, one in enumerate(parameters(forward[0])) if one in marked]
    views = [one for call in applied for n, one in enumerate(call.args) if n in numbers]
    if len(applied) == 1 and views and all(isinstance(one, ast.Name | ast.Attribute | ast.Subscript) for one in views):
        names = {ast.unparse(one) for one in views}
        tensors = [tensor for tensor, own in look.index.names.seen.items() if names & {*own}]
        states = [state for one in tensors if (state := look.index.history.last_state(one)) is not None]
        others = {name for state in states for name in look.index.names.over(state.storage)} | names
        assigned = {ast.unparse(one) for one in getattr(site.statement, "targets", [])}
        ownership = look.ownership(site, [])
        local = function_around(site.source_code, site.statement) is not None  # else who knows what reads it later
        fits = local and not any(ownership.is_loaded_later(one) for one in others - assigned)
        yield Candidate(site, [in_place_of(one, f"{ast.unparse(one)}.clone()") for one in views], fits)


# ---------------------------------------------------------------- hooks


def _unpacked_tensor(look: Look, finding: Finding, ending: Ending) -> Candidates:
    """`lambda array: array` -> `lambda array: torch.from_numpy(array)`, as an unpack hook."""
    is_array = _ARRAY in ending.failure.message
    sites, edits = [], []
    for site, value in _results(look, finding):
        sites.append(site)
        edits.append(in_place_of(value, f"torch.from_numpy({site.source_code.text_of(value)})"))
    yield from _as_one(sites[:1], edits[:1], fits=is_array and len(edits) == 1)


def hooks_fully(look: Look, finding: Finding) -> Candidates:
    """`register_backward_hook` -> `register_full_backward_hook`, where nobody writes to what modules are given."""
    writes = [one for one in look.index.history.writes if one.before.requires_grad and not one.before.is_leaf]
    for _, site in look.culprits(finding):
        node = site.node
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            text = f"{site.source_code.text_of(node.func.value)}.register_full_backward_hook"
            yield Candidate(site, [in_place_of(node.func, text)], fits=not writes)


def _differentiated(look: Look, finding: Finding, _: Ending) -> Candidates:
    """`@once_differentiable` goes, where `backward` is made of functions of saved inputs and results only."""
    for place in finding.culprits[:1]:
        code = look.index.places.code(place)
        methods = [
            one
            for one in code.source_code.statements
            if isinstance(one, ast.FunctionDef) and any(node_position(d) == place.position for d in one.decorator_list)
        ]
        for method in methods:
            text = ast.unparse(method)
            read = {one.attr for one in ast.walk(method) if isinstance(one, ast.Attribute) and _is_context(one.value)}
            plain = not any(one in text for one in ("numpy", ".data", "detach", "no_grad", ".item(", ".tolist("))
            site = Statement(place.file, code, method, None)
            plain = (
                plain and read <= {"saved_tensors", "needs_input_grad"} and _saves_ends_only(code.source_code, method)
            )
            yield Candidate(site, [lines_gone(place.position.line, place.position.line)], plain)


def _saves_ends_only(source: SourceCode, method: ast.FunctionDef) -> bool:
    """Whether the forward beside a backward saves nothing but its arguments and what it returns."""
    beside = [one for one in source.block_of(method) if isinstance(one, ast.FunctionDef) and one is not method]
    known = {arg.arg for one in beside for arg in one.args.args}
    for one in beside:
        returned = [node.value for node in ast.walk(one) if isinstance(node, ast.Return) and node.value is not None]
        known |= {ast.unparse(part) for value in returned for part in (getattr(value, "elts", None) or [value])}
    saves = [node for one in beside for node in ast.walk(one) if isinstance(node, ast.Call)]
    saves = [node for node in saves if called_name(node) == "save_for_backward"]
    return all(ast.unparse(argument) in known for node in saves for argument in node.args)


def _is_context(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "ctx"


_RULES: dict[str, Callable[[Look, Finding, Ending], Candidates]] = {
    "gradient count": _for_each_argument,
    "hook count": _as_many,
    "returned input": _own_view,
    "tangent": _tangent_written,
    "read twice": _read_once,
    "unpacked twice": _read_once,
    "dirty view": _clone_marked,
    "unpack type": _unpacked_tensor,
    "once": _differentiated,
}

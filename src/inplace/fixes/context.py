"""Changes of what a custom function keeps on its `ctx`, and where: attributes for numbers, `setup_context` apart."""

from __future__ import annotations

import ast

from inplace.checks.finding import Finding
from inplace.facts.model import Position
from inplace.facts.source_code import SourceCode, called_name, node_position
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.custom import are_constants, with_nones
from inplace.fixes.editing import Edit, in_place_of, lines_gone
from inplace.fixes.statement import Statement
from inplace.reading.trace.definitions import Defined, parameters

_CONTEXT_CALLS = frozenset(
    ["save_for_backward", "mark_dirty", "mark_non_differentiable", "set_materialize_grads", "save_for_forward"]
)


# ---------------------------------------------------------------- numbers


def kept_as_attribute(look: Look, finding: Finding) -> Candidates:
    """`ctx.save_for_backward(x, alpha)` of a number -> `ctx.save_for_backward(x)` and `ctx.alpha = alpha`."""
    ending = look.index.ending
    if ending is None:
        return
    custom = ending.failure.custom
    backward = look.index.definitions.method(custom, "backward", "vjp")
    for _, site in look.culprits(finding):
        node = site.node
        if not isinstance(node, ast.Call) or called_name(node) != "save_for_backward" or not backward:
            continue
        numbers = _numbers(look, custom, node, int(ending.parts[0]))
        named = [node.args[one] for one in numbers]
        if not all(isinstance(one, ast.Name) for one in named) or any(
            isinstance(one, ast.Starred) for one in node.args
        ):
            continue
        context = site.source_code.text_of(node.func).rpartition(".")[0]
        names = [one.id for one in named if isinstance(one, ast.Name)]
        rest = [site.source_code.text_of(one) for n, one in enumerate(node.args) if n not in numbers]
        kept = [f"{site.source_code.text_of(node.func)}({', '.join(rest)})"] if rest else []
        lines = kept + [f"{context}.{name} = {name}" for name in names]
        text = f"\n{site.source_code.indent_of(site.statement)}".join(lines)
        reads = _read_there(site.source_code, backward[0], dict(zip(numbers, names, strict=True)), len(node.args))
        if reads is not None and isinstance(site.statement, ast.Expr):
            more = _gradients_lacking(look, custom, site.source_code, backward[0])
            fits = more is not None
            yield Candidate(site, [in_place_of(site.statement, text), *reads, *(more or [])], fits)


def _gradients_lacking(look: Look, custom: str, source: SourceCode, backward: Defined) -> list[Edit] | None:
    """The edits that give each argument of a forward a gradient, or `None` for one: what raises next otherwise.

    None where it is not known what belongs there.
    """
    forward = look.index.definitions.method(custom, "forward")
    count = len(parameters(forward[0])) if forward else 0
    edits = []
    for one in ast.walk(backward.node):
        value = one.value if isinstance(one, ast.Return) else None
        given = len(value.elts) if isinstance(value, ast.Tuple) else 1
        if value is None or given >= count or isinstance(value, ast.Call | ast.Name | ast.Starred):
            continue  # a call or name may stand for all of them
        if not are_constants(look, custom, given):
            return None
        edits.append(with_nones(source, value, count - given))
    return edits


def _numbers(look: Look, custom: str, save: ast.Call, first: int) -> list[int]:
    """Which arguments of a `save_for_backward` are no tensors: the one that PyTorch names, and constants."""
    forward = look.index.definitions.method(custom, "forward")
    given = parameters(forward[0]) if forward else []
    calls = [call for _, call in look.index.definitions.calls_of("apply")]
    applied = [call for call in calls if ast.unparse(call.func) == f"{custom}.apply"]
    constants = {
        name
        for call in applied
        for name, one in zip(given, call.args, strict=False)
        if isinstance(one, ast.Constant) or (isinstance(one, ast.UnaryOp) and isinstance(one.operand, ast.Constant))
    }
    return [
        number
        for number, one in enumerate(save.args)
        if number == first or (isinstance(one, ast.Name) and one.id in constants)
    ]


def _read_there(source: SourceCode, backward: Defined, kept: dict[int, str], count: int) -> list[Edit] | None:
    """The edits of a `backward` that reads some of what was saved from attributes; None where it reads otherwise."""
    edits = []
    parents = {child: one for one in ast.walk(backward.node) for child in ast.iter_child_nodes(one)}
    reads = [one for one in parents if isinstance(one, ast.Attribute) and one.attr == "saved_tensors"]
    for read in reads:
        context, parent = ast.unparse(read.value), parents[read]
        if isinstance(parent, ast.Subscript) and isinstance(parent.slice, ast.Constant):
            number = parent.slice.value
            if not isinstance(number, int) or not 0 <= number < count:
                return None
            fewer = sum(one < number for one in kept)
            text = f"{context}.{kept[number]}" if number in kept else f"{source.text_of(read)}[{number - fewer}]"
            edits.append(in_place_of(parent, text))
            continue
        target = parent.targets[0] if isinstance(parent, ast.Assign) else None
        if not isinstance(target, ast.Tuple) or len(target.elts) != count or not isinstance(parent, ast.Assign):
            return None
        names = [source.text_of(one) for one in target.elts]
        left = [name for number, name in enumerate(names) if number not in kept]
        told = ", ".join(left) if len(left) > 1 else f"({left[0]},)" if left else ""
        lines = [f"{told} = {source.text_of(read)}"] if left else []
        lines += [f"{names[number]} = {context}.{name}" for number, name in kept.items()]
        edits.append(in_place_of(parent, f"\n{source.indent_of(parent)}".join(lines)))
    return edits or None


# ---------------------------------------------------------------- setup_context


def with_setup_context(look: Look, finding: Finding) -> Candidates:
    """`forward(ctx, x)` -> `forward(x)` and `setup_context(ctx, inputs, output)`, which `torch.func` asks for."""
    custom = look.index.ending.failure.custom if look.index.ending is not None else ""
    for one in look.index.definitions.method(custom, "forward") if finding.culprits else ():
        method, source = one.node, look.index.places.codes[one.source].source_code
        place = look.index.definitions.head(one)
        if not isinstance(method, ast.FunctionDef) or not _is_plain(method):
            continue
        context = method.args.args[0].arg
        kept = [statement for statement in method.body if _is_of_context(statement, context)]
        result = method.body[-1]
        mentioned = {node.id for statement in kept for node in ast.walk(statement) if isinstance(node, ast.Name)}
        known, output = _known_there(method, result)
        if not kept or not mentioned <= known | {context, "torch", "len", "tuple"}:
            continue
        named = [arg.arg for arg in method.args.args[1:]]
        indent = source.indent_of(method)
        inner = source.indent_of(method.body[0])
        lines = [f"{', '.join(named)}{',' if len(named) == 1 else ''} = inputs"]
        lines += [f"{output} = output"] if output is not None and output in mentioned else []
        lines += [source.text_of(statement) for statement in kept]
        body = f"\n{inner}".join(lines)
        apart = f"\n\n{indent}@staticmethod\n{indent}def setup_context({context}, inputs, output):\n{inner}{body}"
        first, second = method.args.args[0], method.args.args[1]
        head = Edit(_between(first, second), "")
        edits = [head, *(lines_gone(s.lineno, s.end_lineno or s.lineno) for s in kept)]
        edits.append(Edit(_end(result), apart))
        site = Statement(place.file, look.index.places.code(place), method, None)
        left = any(
            isinstance(n, ast.Name) and n.id == context for s in method.body if s not in kept for n in ast.walk(s)
        )
        yield Candidate(site, edits, fits=not left)


def _is_plain(method: ast.FunctionDef) -> bool:
    """Whether a forward has its context and arguments by position only, and returns at its end and nowhere else."""
    given = method.args
    returns = [one for one in ast.walk(method) if isinstance(one, ast.Return)]
    plain = not (given.vararg or given.kwarg or given.kwonlyargs or given.posonlyargs or given.defaults)
    return plain and len(given.args) > 1 and len(returns) == 1 and returns[0] is method.body[-1]


def _is_of_context(statement: ast.stmt, context: str) -> bool:
    """Whether a statement only keeps or marks something: `ctx.save_for_backward(x)`, `ctx.n = n`."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        function = statement.value.func
        is_own = isinstance(function, ast.Attribute) and ast.unparse(function.value) == context
        return is_own and called_name(statement.value) in _CONTEXT_CALLS
    target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
    return isinstance(target, ast.Attribute) and ast.unparse(target.value) == context


def _known_there(method: ast.FunctionDef, result: ast.stmt) -> tuple[set[str], str | None]:
    """What `setup_context` can name: arguments that the forward does not assign anew, and the name of the result."""
    stored = {n.id for n in ast.walk(method) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    given = {one.arg for one in method.args.args[1:]} - stored
    value = result.value if isinstance(result, ast.Return) else None
    output = value.id if isinstance(value, ast.Name) else None
    return given | ({output} if output is not None else set()), output


def _between(first: ast.arg, second: ast.arg) -> Position:
    return Position(first.lineno, first.col_offset, second.lineno, second.col_offset)


def _end(node: ast.stmt) -> Position:
    line, column = node_position(node).end
    return Position(line, column, line, column)

"""Changes of the mode that code runs in: `no_grad` for inference mode, checkpoints, function transforms."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from inplace.checks.finding import Finding
from inplace.facts.source_code import SourceCode, called_name, node_position
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.editing import Edit, in_place_of, line_gone
from inplace.fixes.rules import not_reentrant
from inplace.fixes.statement import Statement, function_around
from inplace.reading.source.code import Code
from inplace.reading.trace.definitions import keyword
from inplace.reading.trace.place import Place

_INFERENCE = "inference_mode"
_CALLERS = 6  # frames looked at
_MADE = {"zeros": "new_zeros", "ones": "new_ones", "empty": "new_empty", "full": "new_full"}


def checkpoints_plainly(look: Look, _finding: Finding) -> Candidates:
    """`checkpoint(f, x, use_reentrant=True)` -> `use_reentrant=False`, of every checkpoint of the file."""
    found: list[tuple[Statement, Edit]] = []
    for source, call in look.index.definitions.calls_of("checkpoint", "checkpoint_sequential"):
        told = keyword(call, "use_reentrant")
        site = look.site(look.index.definitions.place(source, node_position(call)))
        edits = not_reentrant(site.source_code, call) if site is not None else []
        if not edits and not (isinstance(told, ast.Constant) and told.value is False):
            return  # one that can't be told otherwise
        found += [(site, edit) for edit in edits if site is not None]
    if found and len({site.file for site, _ in found}) == 1:
        yield Candidate(found[0][0], [edit for _, edit in found], fits=True)


# ---------------------------------------------------------------- inference mode


def without_inference(look: Look, finding: Finding) -> Candidates:
    """`inference_mode()` around what made a tensor -> `no_grad()`, which computes the same and lets it be used."""
    for place in finding.culprits:
        frames = look.index.trace.calls[place.step].stack.frames[1:_CALLERS] if place.step is not None else ()
        for outer in (place, *(look.index.places.at(frame, place.step) for frame in frames)):
            code = look.index.places.code(outer)
            modes = list(_modes_around(code.source_code.statements_around(outer.position)))
            if modes:
                yield from _as_no_grad(outer, code, modes)
                return


def _as_no_grad(place: Place, code: Code, modes: list[tuple[ast.stmt, ast.Call]]) -> Candidates:
    """The only call of `inference_mode`, if it is asked for nothing else."""
    statement, call = modes[-1]
    text = code.source_code.text_of(call.func)
    if len(modes) == 1 and not call.args and not call.keywords:
        edit = in_place_of(call.func, text.removesuffix(_INFERENCE) + "no_grad")
        yield Candidate(Statement(place.file, code, statement, None), [edit], fits="torch." in text)


def _modes_around(around: list[ast.stmt]) -> Iterator[tuple[ast.stmt, ast.Call]]:
    """The calls of `inference_mode` that some statements are under: as a `with`, or as a decorator, which have it."""
    for one in around:
        given: list[ast.expr] = []
        if isinstance(one, ast.With):
            given = [item.context_expr for item in one.items]
        elif isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            given = one.decorator_list
        yield from ((one, call) for call in given if isinstance(call, ast.Call) and called_name(call) == _INFERENCE)


# ---------------------------------------------------------------- function transforms


def left_to_transform(look: Look, finding: Finding) -> Candidates:
    """Inside of a function that is transformed no tensor is asked to require grad, nor `.data` of one."""
    how = look.index.ending.what if look.index.ending is not None else ""
    for _, site in look.culprits(finding):
        source, statement = site.source_code, site.statement
        if how == "requires grad inside":
            yield from _not_asked(site)
        elif how == "data inside":
            parts = [one for one in ast.walk(statement) if isinstance(one, ast.Attribute) and one.attr == "data"]
            loaded = [one for one in parts if isinstance(one.ctx, ast.Load)]
            edits = [in_place_of(one, f"{source.text_of(one.value)}.detach()") for one in loaded]
            if len(edits) == 1:
                yield Candidate(site, edits, fits=len(parts) == 1)
        elif how == "number inside":
            yield from _kept_tensor(site)


def _not_asked(site: Statement) -> Candidates:
    """`y = x.detach().clone().requires_grad_()` -> `y = x.clone()`; a statement that only asks goes."""
    source, statement = site.source_code, site.statement
    around = function_around(source, statement)
    body = ast.unparse(around) if around is not None else ""
    fits = around is not None and "autograd" not in body and "backward" not in body and ".grad" not in body
    asked = [one for one in ast.walk(statement) if isinstance(one, ast.Call) and called_name(one) == "requires_grad_"]
    if len(asked) != 1 or not isinstance(asked[0].func, ast.Attribute):
        return
    if isinstance(statement, ast.Expr) and statement.value is asked[0] and isinstance(asked[0].func.value, ast.Name):
        if len(source.block_of(statement)) > 1:
            yield Candidate(site, [line_gone(statement)], fits)
        return
    yield Candidate(site, [in_place_of(asked[0], _uncut(source, asked[0]))], fits)


def _uncut(source: SourceCode, node: ast.expr) -> str:
    """The text of a chain of methods without those that cut it off or ask it to require grad."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        inner = _uncut(source, node.func.value)
        if node.func.attr in {"requires_grad_", "detach"}:
            return inner
        arguments = source.text_of(node).removeprefix(source.text_of(node.func))
        return f"{inner}.{node.func.attr}{arguments}"
    return source.text_of(node)


def _kept_tensor(site: Statement) -> Candidates:
    """`x * x.sum().item()` -> `x * x.sum()` under vmap."""
    for one in ast.walk(site.statement):
        if isinstance(one, ast.BinOp):
            for side in (one.left, one.right):
                is_item = isinstance(side, ast.Call) and called_name(side) == "item" and not side.args
                if is_item and isinstance(side, ast.Call) and isinstance(side.func, ast.Attribute):
                    text = site.source_code.text_of(side.func.value)
                    yield Candidate(site, [in_place_of(side, text)], fits=True)


def made_of_argument(look: Look, finding: Finding) -> Candidates:
    """`acc = torch.zeros(3)` under vmap -> `acc = x.new_zeros(3)`, which has a part for each item as `x` has."""
    ending = look.index.ending
    if ending is None or ending.what != "more elements":
        return
    for place, site in look.culprits(finding):
        source, name = site.source_code, site.written_name()
        function = function_around(source, site.statement)
        above = look.index.places.code(place).assignment_above(place.position, name) if name is not None else None
        made = source.node(above) if above is not None else None
        if (
            not isinstance(made, ast.Call)
            or called_name(made) not in _MADE
            or not isinstance(function, ast.FunctionDef)
        ):
            continue
        given = [arg.arg for arg in function.args.args]
        used = {one.id for one in ast.walk(site.statement) if isinstance(one, ast.Name) and one.id in given} - {name}
        there = look.site(look.index.places.beside(place, node_position(made)))
        if len(used) == 1 and there is not None and ast.unparse(made.func).startswith("torch."):
            text = f"{next(iter(used))}.{_MADE[called_name(made)]}"
            yield Candidate(there, [in_place_of(made.func, text)], fits=not made.keywords)

"""Copies of what is saved, or of what must not be written to, where it is made."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from inplace.checks.finding import Finding
from inplace.facts.called import MODULES
from inplace.facts.model import Call, Kind, StorageId, TensorId
from inplace.facts.source_code import node_position
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.editing import in_front_of, in_place_of
from inplace.fixes.read_first import reads_itself
from inplace.fixes.rules import clone_where_made, clone_where_saved, cloned, has_twin
from inplace.fixes.statement import Statement, is_module


def clones_saved(look: Look, finding: Finding) -> Candidates:
    """What is kept for backward there gets a copy: `a * b.clone()`, `scores.softmax(-1).clone()`."""
    index, broken = look.index, finding.broken()
    result = broken is not None and broken.saved.startswith(("result", "output"))
    names = [name for storage in finding.storages() for name in index.names.over(storage)]
    fits = all(look.is_recorded(write) or _only_leaves(look, write.before.storage) for write in look.writes_of(finding))
    place = finding.victim.place if finding.victim is not None else None
    site = look.site(place)
    call = look.call_of(place) if place is not None else None
    if site is None or call is None or call.function.kind is not Kind.OP:
        return
    if result:
        sure = _gives_out(site, call) and not _is_written_inside(look, finding, site)
        yield from (Candidate(site, edits, fits and sure) for edits in clone_where_saved(site, names, result=True))
        return
    given = _given(look, site, call, finding)
    named = list(clone_where_saved(site, names, result=False))
    if given:
        yield Candidate(site, [cloned(site.source_code, node) for node in given], fits)
    else:
        sure = len(named) == 1 and _takes(look, call, finding)
        yield from (Candidate(site, edits, fits and sure) for edits in named)


def clones_given(look: Look, finding: Finding) -> Candidates:
    """What a call can't be given gets a copy: `head(feat.clone())`."""
    names = [name for tensor in finding.tensors() for name in look.index.names.of(tensor)]
    place = finding.victim.place if finding.victim is not None else None
    site = look.site(place)
    call = look.call_of(place) if place is not None else None
    if site is None or call is None:
        return
    yield from _copied_first(site, names)
    found = list(clone_where_saved(site, names, result=False))
    sure = len(found) == 1 and _takes(look, call, finding)
    yield from (Candidate(site, edits, sure) for edits in found)


def _given(look: Look, site: Statement, call: Call, finding: Finding) -> list[ast.expr]:
    """The operands of a call of the user's own that lie in what a finding is about, found by where they went in."""
    node, states = site.node, look.index.trace.states
    if not call.stack.frames or call.stack.frames[0].entry is not None:
        return []
    if isinstance(node, ast.BinOp):
        operands = [node.left, node.right]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        operands = [*([] if is_module(node.func.value) else [node.func.value]), *node.args]
    elif isinstance(node, ast.Call):
        operands = [*node.args]
    else:
        return []
    about = _storages(look, finding)
    paths = {one.path for one in call.inputs if states[one.before].storage in about}
    return [operand for number, operand in enumerate(operands) if str(number) in paths]


def _storages(look: Look, finding: Finding) -> set[StorageId | None]:
    storages: set[StorageId | None] = {*finding.storages()}
    storages |= {
        state.storage for one in finding.tensors() if (state := look.index.history.last_state(one)) is not None
    }
    return storages - {None}


def _takes(look: Look, call: Call, finding: Finding) -> bool:
    """Whether a call was given what a finding is about."""
    given = {look.index.trace.states[one.before].storage for one in call.inputs}
    return not _storages(look, finding).isdisjoint(given)


def _copied_first(site: Statement, names: Sequence[str]) -> Candidates:
    """A call that is refused for the tensor that it is made on: the name is given a copy before."""
    node = site.node
    if isinstance(site.statement, ast.Expr) and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        name = site.source_code.text_of(node.func.value)
        if name in names and isinstance(node.func.value, ast.Name):
            edit = in_front_of(site.statement, f"{name} = {name}.clone()\n{site.source_code.indent_of(site.statement)}")
            yield Candidate(site, [edit], fits=not any("[" in one or "." in one for one in names))


def _only_leaves(look: Look, storage: StorageId | None) -> bool:
    """Whether every tensor over some bytes that requires grad is a leaf: it was updated, no step of the forward."""
    if storage is None:
        return False
    states = [look.index.history.last_state(one) for one in look.index.history.tensors_of.get(storage, ())]
    live = [state for state in states if state is not None and state.requires_grad]
    return bool(live) and all(state.is_leaf for state in live)


def _gives_out(site: Statement, call: Call) -> bool:
    """Whether a statement uses the result of a call, which writes to nothing of its own."""
    is_fresh = not call.function.label.endswith("_") and not isinstance(site.statement, ast.AugAssign)
    return is_fresh and not (isinstance(site.statement, ast.Expr) and site.statement.value is site.node)


def _is_written_inside(look: Look, finding: Finding, site: Statement) -> bool:
    """Whether the write is made within what the statement calls: a copy of its result would come too late."""
    span = node_position(site.statement)
    return any(look.is_inside(write.call, site.file, span) for write in look.writes_of(finding))


def clones_made(look: Look, finding: Finding) -> Candidates:
    """What must not be written to is made a tensor of its own where it is made, if its base is not read any more."""
    step = finding.culprits[0].step if finding.culprits else None
    if step is None:
        return
    for tensor in finding.tensors()[:1]:
        maker = look.index.history.maker(tensor, step)
        place = look.index.places.of(maker) if maker is not None else None
        site = look.site(place)
        if site is not None and maker is not None:
            fits = _is_base_done_with(look, site, finding, tensor) and not isinstance(site.statement, ast.Expr)
            fits = fits and not reads_itself(look.site(finding.culprits[0]), finding)
            yield from (Candidate(site, edits, fits) for edits in clone_where_made(site))


def _is_base_done_with(look: Look, site: Statement, finding: Finding, tensor: TensorId) -> bool:
    """Whether nobody reads the bytes that would no longer be written by another way than what is copied."""
    index, culprit = look.index, look.site(finding.culprits[0])
    if culprit is None:
        return False
    writes = look.writes_at(culprit, finding)
    storages = {write.before.storage for write in writes} - {None}
    own = {ast.unparse(part) for target in getattr(site.statement, "targets", []) for part in _flat(target)}
    names = {name for storage in storages for name in index.names.over(storage)} - own
    names -= {name for name in names if any(name.startswith(f"{one}[") for one in own)}
    ownership = look.ownership(culprit, writes)
    return bool(writes) and not any(ownership.is_loaded_later(name) for name in names) and bool(own) and tensor >= 0


def _flat(target: ast.expr) -> list[ast.expr]:
    return list(target.elts) if isinstance(target, ast.Tuple | ast.List) else [target]


# ---------------------------------------------------------------- pieces of a tensor in a loop


def stacks_pieces(look: Look, finding: Finding) -> Candidates:
    """`for row in x: row /= 2` -> `x = torch.stack([row / 2 for row in x])`."""
    for place, site in look.culprits(finding):
        call = look.call_of(place)
        around = site.source_code.statements_around(place.position)
        loop = around[-2] if len(around) > 1 else None
        if call is None or not isinstance(loop, ast.For) or loop.body != [site.statement] or loop.orelse:
            continue
        made = _piece(site, loop)
        if made is None:
            continue
        name, text = made
        loop_site = site.beside(loop, None)
        fits = _is_whole(look, loop_site, call, name)
        yield Candidate(loop_site, [in_place_of(loop, text)], fits)


def _piece(site: Statement, loop: ast.For) -> tuple[str, str] | None:
    """The tensor whose pieces a loop writes to, and the statement that makes a new one of new pieces."""
    source, statement = site.source_code, site.statement
    written = site.written_name()
    heads, items = _flat(loop.target), loop.iter
    given = items.args if isinstance(items, ast.Call) and ast.unparse(items.func) == "zip" else [items]
    names = [ast.unparse(one) for one in heads]
    if written not in names or len(names) != len(given) or not isinstance(given[names.index(written)], ast.Name):
        return None
    if isinstance(statement, ast.AugAssign):
        operator = source.text_of(statement).removeprefix(written).lstrip().partition("=")[0]
        value = source.text_of(statement.value)
        new = (
            f"{written} {operator} ({value})"
            if isinstance(statement.value, ast.BinOp)
            else f"{written} {operator} {value}"
        )
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        new = source.text_of(statement.value)
        links = [
            one.attr for one in ast.walk(statement.value) if isinstance(one, ast.Attribute) and one.attr.endswith("_")
        ]
        if not links or not all(has_twin(link) and f".{link}(" in new for link in links):
            return None
        for link in links:
            new = new.replace(f".{link}(", f".{link[:-1]}(")
    else:
        return None
    name = ast.unparse(given[names.index(written)])
    head = f"for {source.text_of(loop.target)} in {source.text_of(items)}"
    return name, f"{name} = torch.stack([{new} {head}])"


def _is_whole(look: Look, loop: Statement, call: Call, name: str) -> bool:
    """Whether the pieces are all of a tensor that nobody else has."""
    writes = [write for write in look.index.history.writes if write.call is call or write.call.step == call.step]
    bases = [write.before.base for write in writes if write.before.base is not None]
    if not bases or name in MODULES or name not in look.index.names.of(bases[0]):
        return False
    return look.ownership(loop, writes[:1]).is_seen_by_all(name, bases[:1])

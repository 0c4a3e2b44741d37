"""Changes of the statement that wrote: out of place, to a copy, or where autograd does not record."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from inplace.checks.finding import Cure, Finding
from inplace.facts.model import Kind, TensorId, TensorState
from inplace.facts.source_code import called_name, node_position
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.editing import Edit, in_front_of, in_place_of
from inplace.fixes.read_first import clone_index, clone_value, reads_itself
from inplace.fixes.rules import (
    clone_before,
    has_twin,
    no_flag,
    operand,
    operator_of,
    out_of_place,
    put_accumulated,
    under_no_grad,
)
from inplace.fixes.statement import Statement, written_expression
from inplace.reading.trace.history import Write
from inplace.reading.trace.place import Place

_INDENT = "    "  # what `with` adds
_AWAY = frozenset({"grad", "data", "detach"})  # what is no view of a leaf that autograd records
_ASKING_FLAGS = frozenset({"apply_", "map_", "map2_", "set_"})  # refused for what requires grad in any mode
_CATEGORY = {"bool": 0, "float": 2, "bfloat": 2, "complex": 3}


def writes_out_of_place(look: Look, finding: Finding) -> Candidates:
    """`h += x` -> `h = h + x`, where all who read the result read it by the name that is assigned."""
    for place, site in look.culprits(finding):
        if not site.is_step and not _writes_leaf(look, place):
            fits = _is_harmless(look, finding, site, _assigned(site))
            yield from (Candidate(site, edits, fits) for edits in out_of_place(site))


def without_flags(look: Look, finding: Finding) -> Candidates:
    """A module that was built with `inplace=True` is built without, and with it all others of the file."""
    for place, site in look.culprits(finding):
        call = look.call_of(place)
        entry = call.stack.frames[0].entry if call is not None and call.stack.frames else None
        if entry is None or not entry.startswith("Module."):
            continue
        fits = _is_harmless(look, finding, site, _assigned(site))
        yield from (Candidate(site, edits, fits) for edits in no_flag(site))


def clones_before(look: Look, finding: Finding) -> Candidates:
    """`h = h.clone()` before the write, where all who read `h` later read it by that name."""
    for place, site in look.culprits(finding):
        if site.is_step or _writes_leaf(look, place):
            continue
        name = site.written_name()
        fits = name is not None and not site.is_array(name) and _is_harmless(look, finding, site, name)
        fits = fits and not reads_itself(site, finding) and not _writes_own(look, place, name)
        yield from (Candidate(site, edits, fits) for edits in clone_before(site))


def _writes_own(look: Look, place: Place, name: str | None) -> bool:
    """Whether a call of a library's writes what it has itself, and not what a name stands for: `net(x)` statistics."""
    call = look.call_of(place)
    if call is None or not call.stack.frames or call.stack.frames[0].entry is None:
        return False
    written = [look.index.trace.states[one.before].storage for one in look.index.trace.writes(call)]
    named = {known for one in written for known in look.index.names.over(one)}
    return bool(named) and name not in named


def clones_value(look: Look, finding: Finding) -> Candidates:
    """What is read is copied before anything is written, which changes nothing but the order."""
    for place, site in look.culprits(finding):
        call = look.call_of(place)
        indexed = call is not None and _is_index_written(look, call.step)
        for edits in clone_index(site) if indexed else clone_value(site):
            yield Candidate(site, edits, fits=call is not None and _is_direct(look, place))


def accumulates(look: Look, finding: Finding) -> Candidates:
    """`x[i] += v` with repeated indices -> `x.index_put_((i,), v, accumulate=True)`."""
    for place, site in look.culprits(finding):
        call = look.call_of(place)
        states = [look.index.trace.states[one.before] for one in call.inputs] if call is not None else []
        if states:
            yield from (Candidate(site, edits, fits=True) for edits in put_accumulated(site, states[0].layout.dtype))


def without_recording(look: Look, finding: Finding) -> Candidates:
    """The update of a leaf, and those that follow, go under `no_grad`; a step of the forward goes out of place."""
    for place, site in look.culprits(finding):
        call = look.call_of(place)
        is_op = call is not None and call.function.kind is Kind.OP and call.function.label not in _ASKING_FLAGS
        if isinstance(site.statement, ast.Assign | ast.Return) and isinstance(site.node, ast.Call):
            passed = call is not None and call.raised is not None and _assigned(site) != _written(site)
            fits = passed or _is_harmless(look, finding, site, _assigned(site))
            yield from (Candidate(site, edits, fits, Cure.OUT_OF_PLACE) for edits in out_of_place(site))
            yield from (Candidate(site, edits, fits, Cure.NO_FLAG) for edits in no_flag(site))
            continue
        followers = list(_followers(look, site))
        if not site.is_one_line:
            continue
        fits = is_op and not _is_needed(look, place) and all(isinstance(one, Statement) for one in followers)
        fits = fits and _is_all_of_it(site)
        updates = [site, *(one for one in followers if one is not None)]
        yield Candidate(site, _under_no_grad(updates), fits)


def records_write(look: Look, finding: Finding) -> Candidates:
    """`h.detach().mul_(2)` -> `h = h.mul(2)`, `h.data *= 2` -> `h = h * 2`: the same values, and the graph has them."""
    for _, site in look.culprits(finding):
        statement, node = site.statement, site.node
        cut = _cut_of(statement.target if isinstance(statement, ast.AugAssign) else node)
        if cut is None:
            continue
        held = cut.func.value if isinstance(cut, ast.Call) and isinstance(cut.func, ast.Attribute) else cut.value  # type: ignore[attr-defined]  # an attribute then
        writes = look.writes_at(site, finding)
        if not writes or not isinstance(held, ast.Name) or isinstance(statement, ast.Assign | ast.Return):
            continue
        named = [one for one, names in look.index.names.seen.items() if held.id in names]
        named += [one for one, names in look.index.names.given.items() if held.id in names]
        storages = {write.before.storage for write in writes}
        states = {one: look.index.history.last_state(one) for one in dict.fromkeys(named)}
        whole = [
            next(
                (t for t, s in states.items() if s is not None and s.storage == storage and s.layout.shape == shape),
                None,
            )
            for storage, shape in ((write.before.storage, write.before.layout.shape) for write in writes)
        ]
        tensors = [one for one in whole if one is not None]
        leaves = any(state is not None and state.is_leaf and state.storage in storages for state in states.values())
        fits = len(tensors) == len(writes) and not leaves and all(_keeps_dtype(look, one) for one in writes)
        fits = fits and look.ownership(site, writes).is_seen_by_all(held.id, tensors)
        own = cut.func if isinstance(cut, ast.Call) else cut
        fits = fits and not any(_is_cut(one) for one in ast.walk(statement) if one is not own)
        text = _recorded(site, held.id, cut)
        if text is not None:
            yield Candidate(site, [in_place_of(statement, text)], fits)


def _recorded(site: Statement, name: str, cut: ast.expr) -> str | None:
    """`h = h.mul(2)` for `h.detach().mul_(2)`, `h = h * 2` for `h.data *= 2`; None where there is no such form."""
    statement, source = site.statement, site.source_code
    if isinstance(statement, ast.AugAssign):
        sign = operator_of(statement.op)
        return (
            f"{name} = {name} {sign} {operand(source, statement.value)}" if sign and statement.target is cut else None
        )
    call = statement.value if isinstance(statement, ast.Expr) else None
    links = [one.attr for one in ast.walk(statement) if isinstance(one, ast.Attribute) and one.attr.endswith("_")]
    if not isinstance(call, ast.Call) or not all(map(has_twin, links)):
        return None
    text = source.text_of(call).replace(source.text_of(cut), name, 1)
    for link in links:
        text = text.replace(f".{link}(", f".{link[:-1]}(", 1)
    return f"{name} = {text}"


def _is_cut(node: ast.AST) -> bool:
    """Whether an expression takes a tensor out of the graph: what is computed with it would still not be recorded."""
    if isinstance(node, ast.Attribute):
        return node.attr in {"data", "detach", "item", "numpy", "tolist"}
    return False


def _cut_of(node: ast.AST | None) -> ast.expr | None:
    """`h.detach()` or `h.data` of what writes to it and does nothing else: `h.detach().mul_(2)`, `h.data *= 2`."""
    if isinstance(node, ast.Call) and called_name(node).endswith("_"):
        node = written_expression(node)
    if isinstance(node, ast.Call) and called_name(node) == "detach" and isinstance(node.func, ast.Attribute):
        return node
    return node if isinstance(node, ast.Attribute) and node.attr == "data" else None


# ---------------------------------------------------------------- preconditions


def _is_all_of_it(site: Statement) -> bool:
    """Whether a statement does nothing but write: what else it computes may be part of a graph."""
    statement = site.statement
    if not isinstance(statement, ast.Expr) or site.node is None:
        return True
    last = statement.value
    while last is not site.node:
        if not (isinstance(last, ast.Call) and isinstance(last.func, ast.Attribute) and last.func.attr.endswith("_")):
            return False
        last = last.func.value
    return True


def _assigned(site: Statement) -> str | None:
    """The name that a statement gives the result of an out-of-place write; None where it only passes it on."""
    statement = site.statement
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and statement.value is site.node:
        return ast.unparse(statement.targets[0])
    written = written_expression(site.node) if site.node is not None else None
    if written is not None and isinstance(statement, ast.Expr | ast.AugAssign):
        return ast.unparse(written)
    return None


def _is_harmless(look: Look, finding: Finding, site: Statement, name: str | None) -> bool:
    """Whether the write may go to a new tensor: autograd knows of it, and all readers find the new one."""
    writes = look.writes_at(site, finding)
    if not writes or not all(_keeps_dtype(look, write) for write in writes):
        return False
    if any(look.index.trace.tensors[write.before.tensor].type == "Parameter" for write in writes):
        return False
    is_name = name is not None and name in {site.written_name(), _written(site)}
    tensors = look.named_by(name, writes) if is_name and name is not None else [one.before.tensor for one in writes]
    pairs = zip(writes, tensors, strict=False)
    if not all(look.is_recorded(one) or _is_apart(one, tensor, name) for one, tensor in pairs):
        return False
    if not all(_goes_there(look, site, write) for write in _first_writes(look, finding)):
        return False
    return look.ownership(site, writes).is_seen_by_all(name, tensors)


def _is_apart(write: Write, tensor: TensorId, name: str | None) -> bool:
    """Whether what is written is a variable's own tensor without a gradient path: a copy of it has none to lose."""
    return name is not None and tensor == write.before.tensor and not write.before.requires_grad


def _written(site: Statement) -> str | None:
    written = written_expression(site.node) if site.node is not None else None
    return ast.unparse(written) if written is not None else None


def _first_writes(look: Look, finding: Finding) -> list[Write]:
    return look.writes_of(finding)[:1]


def _goes_there(look: Look, site: Statement, write: Write) -> bool:
    """Whether the first of the writes that do harm is the statement's: the later ones go to the new tensor too."""
    statement = look.index.places.statement_of(write.call)
    return statement == (site.file, node_position(site.statement))


def _keeps_dtype(look: Look, write: Write) -> bool:
    """Whether the result out of place has the dtype of what is written to (`c10/core/ScalarType.h`, promoteTypes)."""
    own = write.before.layout
    for argument in write.call.inputs:
        other = look.index.trace.states[argument.before].layout
        if other.dtype == own.dtype or (argument.path.startswith("1") and write.call.function.label == "__setitem__"):
            continue
        lower, same = _category(other.dtype) < _category(own.dtype), _category(other.dtype) == _category(own.dtype)
        if not lower and not (same and not other.shape):
            return False
    return True


def _category(dtype: str) -> int:
    return next((number for name, number in _CATEGORY.items() if dtype.startswith(name)), 1)


def _writes_leaf(look: Look, place: Place) -> bool:
    """Whether the call of a culprit writes to a leaf that requires grad, whose name has to go on standing for it."""
    call = look.call_of(place)
    written: list[TensorState] = []
    if call is not None:
        written = [look.index.trace.states[one.before] for one in look.index.trace.writes(call)]
    return any(state.is_leaf and state.requires_grad for state in written)


def _is_leaf(look: Look, name: str) -> bool:
    """Whether all that a name is known to stand for are leaves that require grad."""
    named = [one for one, names in (*look.index.names.seen.items(), *look.index.names.given.items()) if name in names]
    states = [look.index.history.last_state(one) for one in named]
    return bool(states) and all(one is not None and one.is_leaf and one.requires_grad for one in states)


def _is_needed(look: Look, place: Place) -> bool:
    """Whether a graph that is alive in the end has saved what a refused write would change."""
    call, walks = look.call_of(place), look.index.trace.walks
    storages = {write.before.storage for write in look.index.history.writes if write.call is call}
    if call is not None:
        storages |= {look.index.trace.states[one.before].storage for one in look.index.trace.writes(call)}
    nodes = look.index.trace.node_by_id
    live = [nodes[use.node].saved[use.saved].storage for walk in walks if not walk.is_backward for use in walk.uses]
    return not storages.isdisjoint(live)


def _is_direct(look: Look, place: Place) -> bool:
    call = look.call_of(place)
    return call is not None and bool(call.stack.frames) and call.stack.frames[0].entry is None


def _is_index_written(look: Look, step: int) -> bool:
    """Whether an item assignment is given, as an index, what it writes to."""
    call = look.index.trace.calls[step]
    states = look.index.trace.states
    written = {states[one.before].storage for one in look.index.trace.writes(call)}
    indices = [states[one.before] for one in call.inputs if one.path.split("[")[0] == "1"]
    return call.function.label == "__setitem__" and any(state.storage in written for state in indices)


def _under_no_grad(sites: list[Statement]) -> list[Edit]:
    """Some statements of one block go under `torch.no_grad()`: those on lines that follow each other together."""
    edits: list[Edit] = []
    last = 0
    for site in sites:
        edits += [in_front_of(site.statement, _INDENT)] if site.statement.lineno == last + 1 else under_no_grad(site)
        last = site.statement.lineno
    return edits


def _followers(look: Look, site: Statement) -> Iterator[Statement | None]:
    """The statements of the same block behind one that would be refused as it was.

    They write to the same variable, or to another leaf that requires grad. None for one that can't be put under
    `no_grad` on its own.
    """
    name, source = site.written_name(), site.source_code
    block = source.block_of(site.statement)
    for later in block[block.index(site.statement) + 1 :]:
        if isinstance(later, ast.Assign) and name in {ast.unparse(one) for one in later.targets}:
            return  # it stands for something else from here on
        node: ast.AST = later.value if isinstance(later, ast.Expr) else later
        is_write = isinstance(node, ast.AugAssign) or (
            isinstance(node, ast.Call) and called_name(node).endswith("_") and not called_name(node).endswith("__")
        )
        is_item = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript)
        if not (is_write or is_item):
            continue
        other = site.beside(later, node)
        written = written_expression(node)
        away = written is not None and any(
            isinstance(one, ast.Attribute) and one.attr in _AWAY for one in ast.walk(written)
        )
        own = other.written_name()
        if own is not None and not away and (own == name or _is_leaf(look, own)):
            yield other if other.is_one_line and source.is_alone(node_position(later)) else None

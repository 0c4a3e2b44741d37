"""Changes that keep apart what shared bytes by mistake: items of a list, snapshots, the two ends of a swap."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence

from inplace.checks.finding import Finding
from inplace.facts.source_code import SourceCode, called_name, node_position
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.editing import in_place_of
from inplace.fixes.rules import Edits, cloned
from inplace.fixes.statement import Statement
from inplace.reading.source.code import leaves_kept_by, parts_written, root_of
from inplace.reading.trace.place import Place

_KEEPING = frozenset({"append", "add", "insert", "appendleft", "setdefault"})
_NUMBERS = frozenset({"float", "int", "bool", "str", "len", "item", "tolist"})
_ARRAYS = frozenset({"numpy", "asarray", "array", "copy"})  # a copy of those is none of PyTorch's


def copies_kept(look: Look, finding: Finding) -> Candidates:
    """Copies where an item was stored."""
    roots = {name.partition("[")[0].partition(".")[0] for name in finding.names}
    reaching = {name for storage in finding.storages() for name in look.index.names.over(storage)}
    keep = finding.kept_at()
    if keep is None:
        yield from _apart(
            look,
            finding,
            lambda source, one: [
                *_repeated(source, one, roots),
                *_given_repeated(source, one, finding),
                *_stored(source, one, roots, reaching),
            ],
        )
    else:  # a copy of the one thing that it keeps is made where it is kept
        yield from _apart(
            look,
            finding,
            lambda source, one: [
                *_repeated_at(source, one, roots, keep),
                *_given_repeated(source, one, finding),
                *_listed(source, one, finding.names),
                *(_stored(source, one, roots, reaching) if _keeps_several(one, keep) else ()),
            ],
        )


def _repeated_at(source: SourceCode, statement: ast.stmt, roots: set[str], keep: Place) -> list[Edits]:
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    is_there = target is not None and node_position(statement).holds(keep.position)
    roots = roots | {root_of(ast.unparse(target))} if target is not None else roots
    return list(_repeated(source, statement, roots)) if is_there else []


def _keeps_several(statement: ast.stmt, keep: Place) -> bool:
    return node_position(statement).holds(keep.position) and len(leaves_kept_by(statement)) > 1


def copies_swapped(look: Look, finding: Finding) -> Candidates:
    """Copies where the other end of a swap is read."""
    lines = {one.position.line for one in finding.culprits}
    yield from _apart(look, finding, lambda source, one: [*_swapped(source, one)] if one.lineno in lines else [])


def _apart(look: Look, finding: Finding, found: Callable[[SourceCode, ast.stmt], list[Edits]]) -> Candidates:
    """What is found in the sources of a finding's culprits; a copy where something is stored changes no value then."""
    for place in {place.file: place for place in finding.culprits}.values():
        code = look.index.places.code(place)
        source = code.source_code
        for statement in source.simple_statements:
            if source.is_alone(node_position(statement)):
                site = Statement(place.file, code, statement, None)
                yield from (Candidate(site, edits, fits=True) for edits in found(source, statement))


def _swapped(source: SourceCode, statement: ast.stmt) -> Iterator[Edits]:
    """`x[0], x[1] = x[1], x[0]` -> `x[0], x[1] = x[1].clone(), x[0].clone()`."""
    if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Tuple):
        yield [cloned(source, one) for one in statement.value.elts]


def _repeated(source: SourceCode, statement: ast.stmt, roots: set[str]) -> Iterator[Edits]:
    """`slots = [torch.zeros(2)] * 3` -> `slots = [torch.zeros(2) for _ in range(3)]`."""
    if isinstance(statement, ast.Assign) and _names_one(statement.targets[0], roots):
        yield from _each_made(source, statement.value)


def _given_repeated(source: SourceCode, statement: ast.stmt, finding: Finding) -> Iterator[Edits]:
    """The same of a line that is blamed and returns the list."""
    if isinstance(statement, ast.Return) and statement.lineno in {place.position.line for place in finding.culprits}:
        yield from _each_made(source, statement.value)


def _each_made(source: SourceCode, value: ast.expr | None) -> Iterator[Edits]:
    if not isinstance(value, ast.BinOp) or not isinstance(value.op, ast.Mult):
        return
    items, times = (value.left, value.right) if isinstance(value.left, ast.List) else (value.right, value.left)
    if isinstance(items, ast.List) and len(items.elts) == 1 and not isinstance(items.elts[0], ast.Tuple | ast.List):
        (item,) = items.elts
        made = source.text_of(item) if isinstance(item, ast.Call) else f"{source.text_of(item)}.clone()"
        text = f"[{made} for _ in range({source.text_of(times)})]"
        yield [in_place_of(value, text)]


def _listed(source: SourceCode, statement: ast.stmt, names: Sequence[str]) -> Iterator[Edits]:
    """`self.shadow = {k: v for k, v in net.state_dict().items()}` -> `v.clone()`, of what is reached as an item."""
    holders = {name.rpartition("[")[0] for name in names if name.endswith("]")}
    value = statement.value if isinstance(statement, ast.Assign) else None
    if not isinstance(statement, ast.Assign) or ast.unparse(statement.targets[0]) not in holders:
        return
    item = value.value if isinstance(value, ast.DictComp) else value.elt if isinstance(value, ast.ListComp) else None
    if isinstance(item, ast.Name | ast.Attribute | ast.Subscript):
        yield [cloned(source, item)]


def _stored(source: SourceCode, statement: ast.stmt, roots: set[str], reaching: set[str]) -> Iterator[Edits]:
    """`history.append(w)` -> `history.append(w.clone())`, `best = net.state_dict()` -> a dictionary of copies."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        function = statement.value.func
        if isinstance(function, ast.Attribute) and function.attr in _KEEPING and _names_one(function.value, roots):
            yield from _leaf_copied(source, statement, reaching)
    if isinstance(statement, ast.Assign):
        target, value = statement.targets[0], statement.value
        if isinstance(value, ast.Call) and called_name(value) == "state_dict" and _names_one(target, roots):
            copies = f"{{key: value.clone() for key, value in {source.text_of(value)}.items()}}"
            yield [in_place_of(value, copies)]
        elif isinstance(target, ast.Subscript) and _names_one(target.value, roots):
            yield from _leaf_copied(source, statement, reaching)


def _leaf_copied(source: SourceCode, statement: ast.stmt, reaching: set[str]) -> Iterator[Edits]:
    """A copy of the one tensor that a statement puts away, alone or as a part of what it makes (`Step(state, 1.0)`).

    Of several it is the one that is known to reach the bytes that are shared.
    """
    found = [
        one for one in leaves_kept_by(statement) if isinstance(one, ast.Name | ast.Attribute | ast.Subscript | ast.Call)
    ]
    found = [one for one in found if not (isinstance(one, ast.Call) and called_name(one) in _NUMBERS)]
    found = [one for one in found if not stands_for_several(source, one)]
    found = [one for one in found if ast.unparse(one) in reaching] if len(found) > 1 else found
    if len(found) == 1 and not (isinstance(found[0], ast.Call) and called_name(found[0]) in _ARRAYS):
        yield [cloned(source, found[0])]


def stands_for_several(source: SourceCode, node: ast.AST) -> bool:
    """Whether a variable stands for a container, which has no `clone`: all arguments of a function, or a tuple made."""
    function = source.function_around(node_position(node)) if isinstance(node, ast.Name) else None
    if not isinstance(node, ast.Name):
        return False
    taking = [function.args.vararg, function.args.kwarg] if function is not None else []
    if any(one is not None and one.arg == node.id for one in taking):
        return True
    for name in source.names.get(node.id, ()):
        at = node_position(name)
        statement = source.statement(at) if source.function_around(at) is function else None
        if isinstance(statement, ast.Assign) and name in statement.targets and _makes_several(statement.value):
            return True
    return False


def _makes_several(value: ast.expr) -> bool:
    made = isinstance(value, ast.Call) and called_name(value) in {"tuple", "list", "dict", "zip", "map"}
    return made or bool(parts_written(value))


def _names_one(node: ast.expr, roots: set[str]) -> bool:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return isinstance(node, ast.Name) and node.id in roots

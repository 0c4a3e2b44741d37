"""Changes of a write that reads what it overwrites: what is read is copied first."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from inplace.checks.finding import Finding
from inplace.facts.called import MODULES, given_to, item_write
from inplace.fixes.rules import Edits, cloned
from inplace.fixes.statement import Statement, written_expression


def clone_value(site: Statement) -> Iterator[Edits]:
    """`x[1:] = x[:-1]` -> `x[1:] = x[:-1].clone()`: what is read is copied before anything is written."""
    statement, node = site.statement, site.node
    written = item_write(node) or item_write(statement)
    value: ast.expr | None = None if written is None else written.value
    if isinstance(node, ast.Call) and item_write(node) is None:
        value = _read_by(node)
    elif isinstance(statement, ast.AugAssign):
        value = statement.value
    if value is not None:
        yield [cloned(site.source_code, value)]


def _read_by(call: ast.Call) -> ast.expr | None:
    """What a call that writes reads: what is named as what it writes to, at best, else the first that is no number."""
    given, written = given_to(call), written_expression(call)
    given = given if any(keyword.arg == "out" for keyword in call.keywords) else given[1:]
    given = [one for one in given if not isinstance(one, ast.Constant | ast.Starred)]
    roots = _names_in(written) if written is not None else set()
    return next((one for one in given if roots & _names_in(one)), next(iter(given), None))


def reads_itself(site: Statement | None, finding: Finding) -> bool:
    """Whether a statement reads a part of what it writes to by the name of that: it would read a copy's as well."""
    name = None if site is None else site.written_name()
    if site is None or name is None or not finding.reads_what_it_writes():
        return False
    said = [one for one in ast.walk(site.statement) if isinstance(one, ast.Name | ast.Attribute)]
    return sum(ast.unparse(one) == name for one in said) > 1


def _names_in(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)} - MODULES


def clone_index(site: Statement) -> Iterator[Edits]:
    """`m[m] = x` -> `m[m.clone()] = x`: the index is read while the tensor is written."""
    written = item_write(site.node) or item_write(site.statement)
    if written is not None and len(written.parts) == 1 and not isinstance(written.parts[0], ast.Slice | ast.Tuple):
        yield [cloned(site.source_code, written.index)]

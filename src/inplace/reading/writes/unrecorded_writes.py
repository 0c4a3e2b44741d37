"""Who has moved a save's version where no call is recorded: `set_`, which no mode sees, and compiled functions.

It is read from the source, and told only where there is no doubt: a `set_` where the tensor was seen to have other
memory afterwards, and the call of a function that is compiled by TorchScript where it was given a name of the tensor.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from inplace.facts.model import Source
from inplace.facts.source_code import node_position
from inplace.reading.source.code import Code
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place
from inplace.reading.writes.saves import Use

_SCRIPTING = frozenset({"torch.jit.script", "jit.script", "script"})


def unrecorded_writers(index: Index, one: Use) -> tuple[Place, ...]:
    """The calls that must have written to what was saved, none of which was recorded."""
    if one.saved.tensor is None:
        return ()
    names = {*index.names.of(one.saved.tensor)}
    moved = len({state.storage for state in index.history.states_of(one.saved.tensor)}) > 1
    find = _setting if moved else _scripted
    sources = zip(index.trace.sources, index.places.codes, strict=True)
    found = [(_place(source, code, node), texts) for source, code in sources for node, texts in find(code)]
    named = [place for place, texts in found if not names.isdisjoint(texts)]
    if moved and not named and len(found) == 1:
        return (found[0][0],)
    return tuple(named)


def _setting(code: Code) -> Iterator[tuple[ast.Call, frozenset[str]]]:
    """The calls of `set_`, with the text of what they are called on."""
    for node in code.source_code.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "set_":
            yield node, frozenset([ast.unparse(node.func.value)])


def _scripted(code: Code) -> Iterator[tuple[ast.Call, frozenset[str]]]:
    """The calls of functions that TorchScript compiles, with the texts of what they are given."""
    functions: set[str] = set()
    for node in code.source_code.nodes:
        if isinstance(node, ast.FunctionDef) and any(ast.unparse(one) in _SCRIPTING for one in node.decorator_list):
            functions.add(node.name)
        made = node.value if isinstance(node, ast.Assign) else None
        if isinstance(node, ast.Assign) and isinstance(made, ast.Call) and ast.unparse(made.func) in _SCRIPTING:
            functions.update(ast.unparse(one) for one in node.targets)
    for node in code.source_code.nodes if functions else ():
        if isinstance(node, ast.Call) and ast.unparse(node.func) in functions:
            yield node, frozenset(ast.unparse(one) for one in node.args)


def _place(source: Source, code: Code, node: ast.Call) -> Place:
    at = node_position(node)
    return Place(source.label, source.file, at, code.text(at), None)

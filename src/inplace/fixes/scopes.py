"""Whose a name is: a change that binds it in a function makes it that function's own, wherever it stood before."""

from __future__ import annotations

import symtable
from collections.abc import Iterator


def takes_over(old: str, new: str) -> bool:
    """Whether a change makes a name that a function reads from outside one of its own.

    `h = h.t()` for `h.t_()` raises `UnboundLocalError` where `h` is a variable of the module, or of a function around.
    """
    try:
        before, after = symtable.symtable(old, "", "exec"), symtable.symtable(new, "", "exec")
    except SyntaxError:
        return False
    return any(_is_taken(one, other) for one, other in _functions(before, after))


def _functions(
    before: symtable.SymbolTable, after: symtable.SymbolTable
) -> Iterator[tuple[symtable.SymbolTable, symtable.SymbolTable]]:
    """The functions of two texts that stand at the same place in both."""
    for one, other in zip(before.get_children(), after.get_children(), strict=False):
        if one.get_name() == other.get_name():
            if one.get_type() == other.get_type() == "function":
                yield one, other
            yield from _functions(one, other)


def _is_taken(before: symtable.SymbolTable, after: symtable.SymbolTable) -> bool:
    outer = {one.get_name() for one in before.get_symbols() if one.is_free() or one.is_global()}
    return any(one.is_local() and one.get_name() in outer for one in after.get_symbols())

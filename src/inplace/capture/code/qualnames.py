"""The qualified name of a function by its code: Python says it from 3.11 on, and before that its source does."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType


def qualname_of(code: CodeType) -> str:
    """The qualified name, such as `SGD.step` or `outer.<locals>.inner`; where no source tells it, the plain one.

    Source: `code.co_qualname`, https://docs.python.org/3/reference/datamodel.html, new in Python 3.11.
    """
    found = getattr(code, "co_qualname", None)
    if found is None:
        found = _by_source(code.co_filename).get((code.co_name, code.co_firstlineno), code.co_name)
    return str(found)


@lru_cache(256)
def _by_source(file: str) -> dict[tuple[str, int], str]:
    """The qualified names of the functions in a file, by their name and first line, which is a decorator's if any."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError, RecursionError):
        return {}
    return {(name, line): qualified for name, line, qualified in _within(tree, "")}


def _within(tree: ast.AST, prefix: str) -> Iterator[tuple[str, int, str]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min(part.lineno for part in (node, *node.decorator_list))
            yield node.name, first, prefix + node.name
            yield from _within(node, f"{prefix}{node.name}.<locals>.")
        elif isinstance(node, ast.ClassDef):
            yield from _within(node, f"{prefix}{node.name}.")
        else:
            yield from _within(node, prefix)

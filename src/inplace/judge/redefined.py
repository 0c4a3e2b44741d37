"""Functions of earlier cells with another source: what a cell defined is there as objects, not as a text to run again.

NOTE [ Functions of earlier cells ]
A replay begins from copies of what its cell found: models, optimizers, and the functions and classes of earlier cells.
To run an earlier cell once more would make all of these anew. So where a change is of the bodies of functions only, the
functions that are there get the new code, methods of classes included; any other change of an earlier cell is refused.
"""

from __future__ import annotations

import ast
import gc
import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType


def changes_bodies_only(old: str, new: str) -> bool:
    """Whether two sources differ in nothing but the bodies of functions."""
    return _without_bodies(old) == _without_bodies(new)


def _without_bodies(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [ast.Pass()]
    return ast.dump(tree)


def redefine(file: str, text: str) -> None:
    """Give each function that was defined by the source called `file` the code that `text` has for it.

    Raises:
        ValueError: a function has other free variables now than its closure holds.
    """
    codes = dict(_codes(compile(text, file, "exec", dont_inherit=True), ""))
    for one in gc.get_objects():
        if type(one) is FunctionType and one.__code__.co_filename == file and one.__qualname__ in codes:
            one.__code__ = codes[one.__qualname__]


def _codes(code: CodeType, prefix: str) -> Iterator[tuple[str, CodeType]]:
    """Yield the code of each function below some code, with its qualified name."""
    for one in code.co_consts:
        if isinstance(one, CodeType):
            name = f"{prefix}{one.co_name}"
            is_function = bool(one.co_flags & inspect.CO_OPTIMIZED)
            if is_function:
                yield name, one
            yield from _codes(one, f"{name}.<locals>." if is_function else f"{name}.")

"""Finds what an instruction executes in its source, where its code knows the line only (Python 3.10).

The library `executing` does it: it changes one expression of the line after the other, compiles all, and sees in which
the instruction is. So that little has to be compiled, it is given nothing but the function that the instruction is in.
"""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any

import executing

from inplace.facts.model import Position
from inplace.facts.source_code import SourceCode, node_position


def executed(code: CodeType, instruction: int, line: int, source: SourceCode) -> Position | None:
    """The range of the expression that an instruction executes; None where it is not known."""
    frame: Any = _Frame(code, instruction, line, _text_for(code, source))
    found = _Text.executing(frame)
    node = found.decorator or found.node
    return node_position(node) if isinstance(node, ast.expr) else None


@dataclass(frozen=True)
class _Frame:
    """What `executing` asks a frame, and the text that it would look up by the name of a file."""

    f_code: CodeType
    f_lasti: int
    f_lineno: int
    text: executing.Source


class _Text(executing.Source):
    @classmethod
    def for_frame(cls, frame: Any, use_cache: bool = True) -> executing.Source:  # noqa: ARG003, FBT001, FBT002 - theirs
        found: executing.Source = frame.text
        return found


@lru_cache(64)
def _text_around(source: SourceCode, first: int, last: int) -> _Text:
    """The source with all lines empty but some."""
    return _Text("", [f"{line if first <= n <= last else ''}\n" for n, line in enumerate(source.lines, 1)])


def _text_for(code: CodeType, source: SourceCode) -> _Text:
    """The part of a source that has to be compiled for a code object to come out."""
    if code.co_flags & inspect.CO_OPTIMIZED:  # a function, a lambda, a comprehension
        for statement in reversed(source.tree.body):
            decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
            first = min([statement.lineno, *(one.lineno for one in decorators)])
            if first <= code.co_firstlineno:
                return _text_around(source, first, statement.end_lineno or statement.lineno)
    return _text_around(source, 1, len(source.lines))

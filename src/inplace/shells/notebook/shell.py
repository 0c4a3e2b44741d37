"""What we hang into an IPython shell for the length of one cell, and take out again."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ast

_SHOWN_BY = ("showtraceback", "CustomTB")  # how IPython shows an exception that ended a cell


class CellHooks:
    """Calls `start` when a compiled cell is about to run, and `strip` before IPython shows an exception."""

    def __init__(self, shell: Any, start: Callable[[], None]) -> None:
        self._shell = shell
        self._undo: list[Callable[[], None]] = []
        # The transformers of its syntax tree are called when a cell is parsed and yet to be run. No earlier, so that a
        # syntax error begins no recording, and other extensions' work before a cell (autoreload's) is not recorded.
        starter = _Starter(start)
        shell.ast_transformers.append(starter)
        self._undo.append(lambda: _remove(shell.ast_transformers, starter))

    def strip_with(self, strip: Callable[[BaseException], None]) -> None:
        """Call `strip` with every exception that IPython is about to show."""
        for name in _SHOWN_BY:
            self._undo.append(_wrap(self._shell, name, strip))

    def undo(self) -> None:
        """Leave the shell as it was."""
        while self._undo:
            self._undo.pop()()


class _Starter:
    """A transformer of syntax trees that leaves them alone."""

    def __init__(self, start: Callable[[], None]) -> None:
        self._start = start

    def visit(self, tree: ast.AST) -> ast.AST:
        self._start()
        return tree


def _remove(items: list[Any], item: Any) -> None:
    if item in items:
        items.remove(item)


def _wrap(shell: Any, name: str, strip: Callable[[BaseException], None]) -> Callable[[], None]:
    """Have a method of the shell call `strip` first; gives what undoes it."""
    shown = getattr(shell, name)
    before = vars(shell).get(name)

    @functools.wraps(shown)
    def show(*args: Any, **kwargs: Any) -> Any:
        error = sys.exc_info()[1]
        if error is not None:
            strip(error)
        return shown(*args, **kwargs)

    def restore() -> None:
        if vars(shell).get(name) is not show:
            return
        if before is None:
            delattr(shell, name)
        else:
            setattr(shell, name, before)

    setattr(shell, name, show)
    return restore

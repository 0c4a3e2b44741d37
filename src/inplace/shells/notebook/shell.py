"""What we hang into an IPython shell for the length of one cell, and take out again."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from inplace.capture.patches.ledger import Inserted, Ledger

if TYPE_CHECKING:
    import ast

_SHOWN_BY = ("showtraceback", "CustomTB")  # how IPython shows an exception that ended a cell


class CellHooks:
    """Calls `start` when a compiled cell is about to run, and `strip` before IPython shows an exception."""

    def __init__(self, shell: Any, start: Callable[[], None]) -> None:
        self._shell, self._ledger = shell, Ledger()
        # The transformers of its syntax tree are called when a cell is parsed and yet to be run. No earlier, so that a
        # syntax error begins no recording, and other extensions' work before a cell (autoreload's) is not recorded.
        place = len(shell.ast_transformers)
        self._ledger.make(Inserted(shell, "ast_transformers", place, _Starter(start)))

    def strip_with(self, strip: Callable[[BaseException], None]) -> None:
        """Call `strip` with every exception that IPython is about to show."""
        for name in _SHOWN_BY:
            self._ledger.replace(self._shell, name, functools.partial(_stripping, strip))

    def undo(self) -> None:
        """Leave the shell as it was."""
        self._ledger.undo()


class _Starter:
    """A transformer of syntax trees that leaves them alone."""

    def __init__(self, start: Callable[[], None]) -> None:
        self._start = start

    def visit(self, tree: ast.AST) -> ast.AST:
        self._start()
        return tree


def _stripping(strip: Callable[[BaseException], None], shown: Any) -> Any:
    """A method of the shell that calls `strip` first."""

    @functools.wraps(shown)
    def show(*args: Any, **kwargs: Any) -> Any:
        error = sys.exc_info()[1]
        if error is not None:
            strip(error)
        return shown(*args, **kwargs)

    return show

"""`%load_ext inplace` and `%unload_ext inplace`: what an IPython shell is given, and how it is taken out again."""

from __future__ import annotations

from argparse import Namespace
from types import MethodType
from typing import Any

from inplace.shells.notebook.cell_magic import cell_magic
from inplace.shells.notebook.line_magic import LineMagic
from inplace.shells.notebook.session import Session

_NAME = "inplace"


def install(shell: Any, *, is_recorded: bool = False) -> None:
    """Make `%%inplace` and `%inplace` known to an IPython shell. Doing so again changes nothing.

    Where all that the shell runs `is_recorded` already, `%%inplace` above a cell asks for nothing more.
    """
    if shell not in _EXTENSIONS:
        _EXTENSIONS[shell] = _Extension(shell, is_recorded=is_recorded)


def record_every_cell(shell: Any, options: Namespace) -> None:
    """Record every cell from the next on, as `%inplace on` does with those of some options that it has."""
    install(shell)
    _EXTENSIONS[shell].session.record_every_cell(options)


def uninstall(shell: Any) -> None:
    """Take out of an IPython shell everything that `install` put in."""
    extension = _EXTENSIONS.pop(shell, None)
    if extension is not None:
        extension.close()


class _Extension:
    """The session and the magics of one shell."""

    def __init__(self, shell: Any, *, is_recorded: bool) -> None:
        self._shell, self.session = shell, Session(shell, is_recorded=is_recorded)
        self._magics = {"cell": MethodType(cell_magic, shell), "line": LineMagic(shell, self.session).run}
        for kind, magic in self._magics.items():
            shell.register_magic_function(magic, kind, _NAME)

    def close(self) -> None:
        self.session.close()
        known = self._shell.magics_manager.magics
        for kind, magic in self._magics.items():
            if known[kind].get(_NAME) == magic:
                del known[kind][_NAME]


_EXTENSIONS: dict[Any, _Extension] = {}

"""Runs a script as `python SCRIPT ARGS` does: as the main module, with its own path, arguments and last words."""

from __future__ import annotations

import builtins
import contextlib
import importlib.machinery
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType


class Script:
    """One script that is to be run in this process.

    Attributes:
        file: its path as Python would call it: absolute, links left alone.
        module: what it runs in, which is `__main__` from now on.
    """

    def __init__(self, given: str, arguments: Sequence[str]) -> None:
        self._given, self._arguments = given, arguments
        self.file = given if Path(given).is_absolute() else f"{Path.cwd()}/{given}"
        self.module = _main_module(self.file)

    def become_main(self) -> None:
        """Put the script's module, arguments and folder where Python has them."""
        sys.modules["__main__"] = self.module
        sys.argv[:] = [self._given, *self._arguments]
        if not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
            sys.path[0] = str(Path(self.file).resolve().parent)

    def run(self) -> None:
        """Run the script, letting through whatever it raises."""
        # Compiled from bytes, which say how they are encoded, and without what this module has from __future__.
        try:
            code = compile(Path(self.file).read_bytes(), self.file, "exec", dont_inherit=True)
        except SyntaxError as unparsed:
            unparsed.__traceback__ = None
            raise
        exec(code, self.module.__dict__)


def _main_module(file: str) -> ModuleType:
    module = ModuleType("__main__")
    facts = {
        "__annotations__": {},
        "__builtins__": builtins,
        "__cached__": None,
        "__file__": file,
        "__loader__": importlib.machinery.SourceFileLoader("__main__", file),
    }
    module.__dict__.update(facts)
    return module


def last_words(error: BaseException) -> int:
    """Say of the exception that ended a script what Python says, and give the exit status."""
    if isinstance(error, SystemExit):
        return _exit_status(error)
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
    sys.last_exc = error  # type: ignore[attr-defined]  # of Python 3.12
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except SystemExit as instead:
        return _exit_status(instead)
    except BaseException as second:
        _say_both(error, second)
    return 1


def _exit_status(error: SystemExit) -> int:
    code = error.code
    if code is None or isinstance(code, int):
        return code or 0
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        print(code, file=sys.stderr)
    return 1


def _say_both(error: BaseException, second: BaseException) -> None:
    """What Python says when the script's own `sys.excepthook` fails."""
    if second.__traceback__ is not None:
        second.__traceback__ = second.__traceback__.tb_next  # without `last_words`
    with contextlib.suppress(OSError, ValueError):
        print("Error in sys.excepthook:", file=sys.stderr)
        sys.__excepthook__(type(second), second, second.__traceback__)
        print("\nOriginal exception was:", file=sys.stderr)
        sys.__excepthook__(type(error), error, error.__traceback__)

"""Runs a script as `python SCRIPT ARGS` does: as the main module, with its own path, arguments and last words."""

from __future__ import annotations

import builtins
import contextlib
import importlib.machinery
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType, TracebackType


class Script:
    """One script that is to be run in this process.

    Attributes:
        file: its path as Python would call it: absolute, links left alone.
        argv: its name and arguments, as it finds them in `sys.argv`.
        module: what it runs in, which is `__main__` from now on.
    """

    def __init__(self, given: str, arguments: Sequence[str]) -> None:
        self.argv = [given, *arguments]
        self.file = given if Path(given).is_absolute() else f"{Path.cwd()}/{given}"
        self.module = _main_module(self.file)

    def become_main(self) -> None:
        """Put the script's module, arguments and folder where Python has them."""
        sys.modules["__main__"] = self.module
        sys.argv[:] = self.argv
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
    _flush()
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
    _flush()
    with contextlib.suppress(OSError, ValueError):
        print(code, file=sys.stderr)
    return 1


def _flush() -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or the script put something else there
        sys.stdout.flush()


def _say_both(error: BaseException, second: BaseException) -> None:
    """What Python says when the script's own `sys.excepthook` fails."""
    if second.__traceback__ is not None:
        second.__traceback__ = second.__traceback__.tb_next  # without `last_words`
    with contextlib.suppress(OSError, ValueError):
        print("Error in sys.excepthook:", file=sys.stderr)
        sys.__excepthook__(type(second), second, second.__traceback__)
        print("\nOriginal exception was:", file=sys.stderr)
        sys.__excepthook__(type(error), error, error.__traceback__)


# ---------------------------------------------------------------- tracebacks


def strip(error: BaseException) -> None:
    """Take the frames of this package out of the traceback of `error`."""
    entries = [entry for entry in _entries(error.__traceback__) if not _is_below(_PACKAGE, entry)]
    for entry, following in zip(entries, [*entries[1:], None], strict=False):
        entry.tb_next = following
    error.__traceback__ = entries[0] if entries else None


def place_of(error: BaseException) -> tuple[str, int]:
    """The file and line where an exception left the user's code; `""` and 0 where no line of it is known."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno or 0
    entries = list(_entries(error.__traceback__))
    users = [entry for entry in entries if not any(_is_below(folder, entry) for folder in _LIBRARIES)]
    if not users:
        return "", 0
    return users[-1].tb_frame.f_code.co_filename, users[-1].tb_lineno


_PACKAGE = str(Path(__file__).parents[2])
_LIBRARIES = {
    _PACKAGE,
    "<frozen ",
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
}


def _entries(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _is_below(folder: str, entry: TracebackType) -> bool:
    return entry.tb_frame.f_code.co_filename.startswith(folder)

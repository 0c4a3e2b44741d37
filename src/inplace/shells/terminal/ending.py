"""The exception that ended a script: what Python says of it, its frames, and how the JSON tells of it."""

from __future__ import annotations

import contextlib
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any

from inplace.capture.code.objects import message_of
from inplace.shells.terminal.empty_stack import call_below_nothing


def last_words(error: BaseException) -> int:
    """Say of the exception that ended a script what Python says, and give the exit status."""
    if isinstance(error, SystemExit):
        return _exit_status(error)
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
    if sys.version_info >= (3, 12):  # before, Python would not let go of it at its end
        sys.last_exc = error
    _flush()
    try:
        call_below_nothing(sys.excepthook, type(error), error, error.__traceback__)
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
    hide_our_frames(second)
    with contextlib.suppress(OSError, ValueError):
        print("Error in sys.excepthook:", file=sys.stderr)
        sys.__excepthook__(type(second), second, second.__traceback__)
        print("\nOriginal exception was:", file=sys.stderr)
        sys.__excepthook__(type(error), error, error.__traceback__)


# ---------------------------------------------------------------- its frames


def hide_our_frames(error: BaseException) -> None:
    """Take the frames of this package out of the traceback of `error`."""
    entries = [entry for entry in _entries(error.__traceback__) if not _is_below(_PACKAGE, entry)]
    for entry, following in zip(entries, [*entries[1:], None], strict=False):
        entry.tb_next = following
    error.__traceback__ = entries[0] if entries else None


def where_it_left(error: BaseException) -> tuple[str, int]:
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


# ---------------------------------------------------------------- in the JSON


def with_error(value: dict[str, Any], error: BaseException | None) -> dict[str, Any]:
    """The diagnoses with the exception that ended the script, where the trace does not tell of it or of its place."""
    if error is None or isinstance(error, SystemExit):
        return value
    told = value["error"] or {"type": type(error).__name__, "message": message_of(error, _is_users), "line": 0}
    if not told["line"]:
        told["file"], told["line"] = where_it_left(error)
    return {**value, "error": told}


def _is_users(code: CodeType) -> bool:
    return not code.co_filename.startswith(tuple(_LIBRARIES))

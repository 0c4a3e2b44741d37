"""Tracebacks as they are without us."""

from __future__ import annotations

import linecache
import sys
from pathlib import Path
from types import CodeType, TracebackType

import torch

from inplace.capture.code.objects import exceptions_of

HANDLE = torch.overrides.handle_torch_function.__code__
"""The frame through which a function that is written in Python hands itself to a mode."""
_OURS = str(Path(__file__).resolve().parents[2])
_FOLLOWS = sys.version_info >= (3, 11)  # before, a bare `raise` puts back the traceback that it was caught with


def is_our_code(code: CodeType) -> bool:
    """Whether this code is part of this package."""
    return code.co_filename.startswith(_OURS)


def leave(error: BaseException) -> None:
    """Take the calling frame out of the traceback of an error that it has caught and is about to raise again.

    So code that formats a traceback itself sees none of ours. Where PyTorch's Python has handed a function to the mode,
    frames of its own are added further out, which only `strip_recording` can tell by ours.
    """
    entry, frame = error.__traceback__, sys._getframe(1)
    if _FOLLOWS and entry is not None and entry.tb_frame is frame:
        caller = frame.f_back
        if caller is not None and caller.f_code is not HANDLE:
            error.__traceback__ = entry.tb_next


def leave_whole(error: BaseException) -> None:
    """The same for an interrupt that came in the calling frame or in what it called, all of it ours."""
    entry = error.__traceback__
    if _FOLLOWS and entry is not None and entry.tb_frame is sys._getframe(1):
        error.__traceback__ = None


def leave_handed_over(error: BaseException) -> None:
    """The same for `handle_torch_function`, which has called us in its `with` block, and for our frame below it."""
    entry = error.__traceback__
    if _FOLLOWS and entry is not None and entry.tb_frame is sys._getframe(2) and entry.tb_frame.f_code is HANDLE:
        below = entry.tb_next
        error.__traceback__ = below.tb_next if below is not None and is_our_code(below.tb_frame.f_code) else below


def added_frames(codes: list[CodeType]) -> set[int]:
    """Which frames, the innermost first, are not there without us; see `strip_recording`."""
    added: set[int] = set()
    for number, code in enumerate(codes):
        if not is_our_code(code):
            continue
        added.add(number)
        above = number + 1
        if codes[above : above + 1] == [HANDLE]:
            added.add(above)
            above += 1
        if number and codes[above : above + 1] == [codes[number - 1]]:
            added.add(above)
    return added


def strip_recording(error: BaseException) -> None:
    """Take our frames out of the tracebacks of `error`, its causes and contexts, and the exceptions of a group."""
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        one = queue.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = _without_ours(one.__traceback__)
        queue += [one.__cause__, one.__context__, *exceptions_of(one)]


def _without_ours(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without our frames and without those that the mode added.

    A function written in Python (`Tensor.backward`) hands itself to the mode, which calls it again: its first frame and
    `handle_torch_function` stand above ours and would not be there without us. The latter and ours may be gone already.
    """
    entries: list[TracebackType] = []
    entry = traceback
    while entry is not None:
        code = entry.tb_frame.f_code
        if is_our_code(code):
            if entries and entries[-1].tb_frame.f_code is HANDLE:
                entries.pop()
        else:
            if entries and entries[-1].tb_frame.f_code is code and _hands_over(entries[-1]):
                entries.pop()
            entries.append(entry)
        entry = entry.tb_next
    for entry, following in zip(entries, [*entries[1:], None], strict=False):  # none at all where never raised
        entry.tb_next = following
    return entries[0] if entries else None


def _hands_over(entry: TracebackType) -> bool:
    """Whether a function was left where it handed itself to a mode: to `handle_torch_function`, or an op to C++."""
    code = entry.tb_frame.f_code
    if code.co_filename == torch._ops.__file__:
        return True
    return HANDLE.co_name in code.co_names and HANDLE.co_name in linecache.getline(code.co_filename, entry.tb_lineno)

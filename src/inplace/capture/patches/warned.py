"""Warnings credited to the user's lines, as they are without us.

NOTE [ Whose line warned ]
Python credits a warning to the frame that is so many frames (`stacklevel`) above it, and PyTorch's C++ to the innermost
one. While we record, the frames of the mode stand between the user's code and PyTorch's. Whether a warning was shown
before is noted in the module of the line it is credited to, so all the user's lines would share our one.
A frame of the user's for each call would cost time in every call, so we wait until a warning is about to be shown:
where it was credited to a frame that is not there without us, or above one, we forget that it was, and warn again with
the line it belongs to. Then Python decides anew by its filters, and by what that line has warned of before.

A filter may be for one module. So that it lets a warning pass to us, the module with our frames has the name of the
user's meanwhile. What remains is a filter for the user's module that meets a warning of a library's line.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from types import FrameType
from typing import Any

from inplace.capture.code.tracebacks import added_frames
from inplace.capture.patches.ledger import Ledger, Put

_SHOW = "_showwarnmsg"  # what Python calls with each warning that its filters let pass; nobody else replaces it


class Warned:
    """Credits the warnings of one thread.

    Args:
        ours: the global variables of the module whose frames PyTorch's C++ is called from.
        theirs: those of the user's module.
        ledger: where what we change is noted, and undone.
    """

    def __init__(self, ours: dict[str, Any], theirs: Mapping[str, object], ledger: Ledger) -> None:
        self._ours, self._theirs, self._ledger = ours, theirs, ledger
        self._thread = 0
        self._again = False

    def start(self) -> None:
        """Begin in this thread."""
        self._thread = threading.get_ident()
        self._ledger.make(Put(self._ours, "__name__", str(self._theirs.get("__name__", "__main__"))))
        self._ledger.replace(warnings, _SHOW, lambda theirs: partial(self._on_warning, theirs))

    def close(self) -> None:
        """Let go of the user's module."""
        self._theirs = {}

    def _on_warning(self, show: Callable[[warnings.WarningMessage], None], message: warnings.WarningMessage) -> None:
        frame = None
        if not self._again and threading.get_ident() == self._thread:
            with contextlib.suppress(Exception):  # a fault of ours: the line is wrong then
                frame = _credited(message, sys._getframe(1))
        if frame is None:
            show(message)
            return
        self._again = True
        try:
            _warn_again(message, frame)
        finally:
            self._again = False


def _warn_again(message: warnings.WarningMessage, frame: FrameType) -> None:
    names = frame.f_globals
    warnings.warn_explicit(
        message.message,
        message.category,
        frame.f_code.co_filename,
        frame.f_lineno,
        names.get("__name__", "<string>"),
        names.setdefault("__warningregistry__", {}),
        source=message.source,
    )


def _credited(message: warnings.WarningMessage, innermost: FrameType | None) -> FrameType | None:
    """The frame a warning is credited to without us, None where that is the one it was credited to."""
    frames: list[FrameType] = []
    while innermost is not None:
        frames.append(innermost)
        innermost = innermost.f_back
    added = added_frames([frame.f_code for frame in frames])
    for level, frame in enumerate(frames):
        if frame.f_lineno != message.lineno or frame.f_code.co_filename != message.filename:
            continue
        theirs = [one for number, one in enumerate(frames) if number not in added]
        if min(added, default=level + 1) > level or level >= len(theirs):
            return None
        registry = frame.f_globals.get("__warningregistry__")
        if isinstance(registry, dict):
            said = (str(message.message), message.category)
            for key in (said, (*said, 0), (*said, message.lineno)):
                registry.pop(key, None)
        return theirs[level]
    return None

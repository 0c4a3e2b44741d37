"""The stack of a forward call, as anomaly mode keeps it with each node, without our frames.

PyTorch's C++ has a function in Python format the stack whenever a node is made, and prints it where a backward fails.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from types import CodeType, FrameType

from inplace.capture.code.tracebacks import added_frames
from inplace.capture.patches.ledger import Replace

_FORMAT = "format_stack"


def keep_our_frames_out(replace: Replace) -> None:
    """Have the stacks that anomaly mode keeps formatted without us."""
    formatter = sys.modules.get("torch.fx.traceback")
    if hasattr(formatter, _FORMAT):
        replace(formatter, _FORMAT, _without_ours)


def _without_ours(theirs: Callable[[], list[str]]) -> Callable[[], list[str]]:
    def format_stack() -> list[str]:
        told = theirs()
        with contextlib.suppress(Exception):  # a fault of ours: it has our frames then
            told = _theirs_of(told, sys._getframe())
        return told

    return format_stack


def _theirs_of(told: list[str], frame: FrameType | None) -> list[str]:
    """The entries of the frames that are there without us; `frame` is the innermost that has one."""
    codes: list[CodeType] = []  # and no list of frames, which would hold itself, and the user's tensors
    while frame is not None:
        codes.append(frame.f_code)
        frame = frame.f_back
    if len(told) != len(codes):  # what is traced by fx has the stack of its origin, and some ask for few frames
        return told
    added = added_frames(codes)
    return [entry for number, entry in enumerate(reversed(told)) if number not in added][::-1]

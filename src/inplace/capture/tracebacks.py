"""Tracebacks as they are without us."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import torch

_HANDLE = torch.overrides.handle_torch_function.__code__
_OURS = str(Path(__file__).resolve().parents[1])


def strip(error: BaseException) -> None:
    """Take our frames out of the tracebacks of `error`, its causes and contexts."""
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        one = queue.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = _without_ours(one.__traceback__)
        queue += [one.__cause__, one.__context__]


def _without_ours(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without our frames and without those that the mode added.

    A function written in Python (`Tensor.backward`) hands itself to the mode, which calls it again: its first frame and
    `handle_torch_function` stand above ours and would not be there without us.
    """
    entries: list[TracebackType] = []
    entry = traceback
    while entry is not None:
        ours = entry.tb_frame.f_code.co_filename.startswith(_OURS)
        if ours and entries and entries[-1].tb_frame.f_code is _HANDLE:
            entries.pop()
            again = entry.tb_next
            if entries and again is not None and entries[-1].tb_frame.f_code is again.tb_frame.f_code:
                entries.pop()
        if not ours:
            entries.append(entry)
        entry = entry.tb_next
    for entry, following in zip(entries, [*entries[1:], None], strict=False):  # none at all where never raised
        entry.tb_next = following
    return entries[0] if entries else None

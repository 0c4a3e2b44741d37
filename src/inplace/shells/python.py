"""The Python face: record a block, analyse what was recorded, read it from a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from inplace.shells.explanation import Explanation
from inplace.shells.keep import Keep, refused, window_of
from inplace.shells.recorder import kept_by, recorder_of, windows_seen
from inplace.shells.recording import Recording

if TYPE_CHECKING:
    from inplace.facts.model import Trace


def record(*, strict: bool = False, thorough: bool = False, light: bool = False, keep: Keep = False) -> Recording:
    """Record the block of a `with` statement: `with inplace.record() as recording:`.

    The calling file or cell is what is recorded, and its module-level variables give the tensors their names.

    Args:
        strict: stop at a write that would destroy what a live graph has saved for backward, with an OverwriteError (a
            RuntimeError) in place of the write. Each write is then preceded by a walk over the live graphs.
        thorough: look at the graph before every backward, and not before the first of each line only, for `advice`.
        light: note versions, saves and writes only, which costs least: what raises is named all the same, but by places
            alone, and most of what raises nothing is not looked for.
        keep: let go of what can't matter any more, so that the block may run for ever: True for windows of 64
            megabytes, or their megabytes. What was found in each is told in the end; there is no whole trace.

    Raises:
        ValueError: if `keep` is no size of a window, or stands beside `thorough`, which needs every call.
    """
    window = window_of(keep)
    if window is not None and thorough:
        raise ValueError(refused("thorough", "keep"))
    seen = windows_seen(window)
    frame = sys._getframe(1)
    file = frame.f_code.co_filename
    title = Path(file).name
    how = {"strict": strict, "thorough": thorough, "light": light, **kept_by(seen)}
    return Recording(recorder_of([file], frame.f_globals, title=title, **how), seen=seen)


def analyze(recording: Recording | Trace) -> Explanation:
    """The findings of a recording or of a trace, the worst first."""
    return recording.report if isinstance(recording, Recording) else Explanation.of(recording)


def load(path: str | Path) -> Recording:
    """Read a recording from a file that `Recording.save` wrote. Nothing in the file is run.

    Raises:
        TraceFormatError: if the file is not one of ours, or of a format that this version does not know.
        OSError: if the file can't be read.
    """
    from inplace.facts.codec import load as read

    return Recording.of(read(path))

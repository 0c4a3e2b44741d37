"""`inplace run`: a script under a recorder, and what is reported of it when it has ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from inplace.shells.recorder import recorder_of
from inplace.shells.terminal.deferred import DeferredRecorder
from inplace.shells.terminal.ending import hide_our_frames, last_words
from inplace.shells.terminal.outputs import Outputs
from inplace.shells.terminal.script import Script

if TYPE_CHECKING:
    from inplace.capture.record import Recorder
    from inplace.facts.model import Trace
    from inplace.judge.judge import Start


def run(script: Script, outputs: Outputs, *, strict: bool, thorough: bool, verify: bool) -> int:
    """Run a script as Python does, and report; gives the exit status.

    Args:
        script: the script.
        outputs: where the report goes.
        strict: whether a write that would destroy a save is stopped.
        thorough: whether to look at the graph before every backward, for advice.
        verify: whether to replay the script with the fixes.
    """
    process = os.getpid()
    script.become_main()
    file, space = script.file, script.module.__dict__
    error, trace = _recorded(
        script, lambda: recorder_of([file], space, title=Path(file).name, strict=strict, thorough=thorough)
    )
    status = 0 if error is None else last_words(error)
    if os.getpid() == process:  # a process that the script has forked reports nothing
        outputs.report(trace, error, (lambda: _start(script)) if verify else None)
    if isinstance(error, KeyboardInterrupt):
        # Python ends with a signal, not with a number; what there is to print has been printed.
        sys.excepthook = lambda *_: None
        raise KeyboardInterrupt
    return status


def _start(script: Script) -> Start:
    from inplace.judge.judge import script_start

    return script_start(script.file, script.argv)


def _recorded(script: Script, make: Callable[[], Recorder]) -> tuple[BaseException | None, Trace | BaseException]:
    """Run a script under a recorder; gives the exception that ended it, and the trace or why there is none."""
    recorder = DeferredRecorder(make)
    error: BaseException | None = None
    recorder.start()
    try:
        script.run()
    except BaseException as raised:
        error = raised
    try:
        trace: Trace | BaseException = recorder.stop(None if isinstance(error, SystemExit) else error)
    except (Exception, KeyboardInterrupt) as fault:
        trace = fault
    if error is not None:
        recorder.strip(error)
        hide_our_frames(error)
    return error, trace

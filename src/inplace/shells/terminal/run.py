"""`inplace run`: a script under a recorder, and what is reported of it when it has ended."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

from inplace.capture.patches.ledger import Ledger
from inplace.shells.recorder import kept_by, windows_seen
from inplace.shells.terminal.children import Family, Left, is_waited_for
from inplace.shells.terminal.deferred import DeferredRecorder
from inplace.shells.terminal.ending import hide_our_frames
from inplace.shells.terminal.outputs import Outputs
from inplace.shells.terminal.script import Script
from inplace.shells.terminal.signals import TerminatedError, Termination, end_by, interruptible

if TYPE_CHECKING:
    from types import FrameType

    from inplace.capture.record import Recorder
    from inplace.facts.model import Trace
    from inplace.judge.judge import Start


def run(
    script: Script,
    outputs: Outputs,
    *,
    strict: bool,
    thorough: bool,
    verify: bool,
    keep: float | None = None,
    light: bool = False,
    family: Family | None = None,
    child: tuple[str, int] | None = None,
) -> int:
    """Run a script as Python does, and report; gives the exit status.

    Args:
        script: the script.
        outputs: where the report goes.
        strict: whether a write that would destroy a save is stopped.
        thorough: whether to look at the graph before every backward, for advice.
        verify: whether to replay the script with the fixes.
        keep: the megabytes of a window, so that a run may go on for ever; None to keep every call.
        light: whether to note versions, saves and writes only.
        family: what its children are to know; None to leave them alone.
        child: how this process was started and the id of the run whose child it is, which reports of it; None for none.
    """
    process = os.getpid()
    script.become_main()
    ledger = Ledger()
    seen = windows_seen(keep)

    def make() -> Recorder:
        if family is not None:
            family.follow(ledger)
        return script.recorder(
            strict=strict,
            thorough=thorough,
            light=light,
            gives_way=True,
            child=child,
            **kept_by(seen),
        )

    recorder = DeferredRecorder(make)
    if seen is not None:
        outputs.explain = lambda run, tell: seen.ended(recorder.session(run), run, tell)
    if family is not None and script.is_launcher:
        with contextlib.suppress(Exception):  # what starts is the launcher's matter
            family.launch(ledger)

    def leave(trace: Trace | BaseException) -> None:
        """Leave what was told of earlier windows to the run whose child this is."""
        if child is not None and family is not None and seen is not None and not isinstance(trace, BaseException):
            with contextlib.suppress(Exception):
                family.leave(trace, seen, recorder.session(trace))

    termination = Termination(lambda frame: leave(_leave_report(recorder, frame, script, outputs)))
    error = _run(script, recorder, termination)
    trace = _ended(recorder, script, error, outputs)
    ledger.undo()
    status = 0 if error is None else script.last_words(error)
    if os.getpid() == process:  # a process that the script has forked reports nothing
        _flush()
        traces = [] if family is None or child is not None else _of_children(family)
        start = (lambda: _start(script)) if verify else None
        outputs.report(trace, error, start, traces, is_launcher=script.is_launcher)
        leave(trace)
    termination.stop()
    if outputs.is_terminated:
        atexit._run_exitfuncs()  # the script had come to its end
        end_by(signal.SIGTERM)
    if isinstance(error, KeyboardInterrupt):
        # Python ends with a signal, not with a number; what there is to print has been printed.
        sys.excepthook = lambda *_: None
        raise KeyboardInterrupt
    return status


def _of_children(family: Family) -> list[Left]:
    """The traces of the children of a script that has ended; those that still run are waited for as Python does."""
    if is_waited_for():
        atexit._run_exitfuncs()  # joins them, but for daemons, which it ends
    try:
        with interruptible():
            return family.traces()
    except (Exception, KeyboardInterrupt, TerminatedError):
        return []
    finally:
        family.remove()


def _start(script: Script) -> Start:
    from inplace.judge.judge import script_start

    return script_start(script.file, script.argv, script.source)


def _run(script: Script, recorder: DeferredRecorder, termination: Termination) -> BaseException | None:
    """Run a script under a recorder; gives the exception that ended it."""
    error: BaseException | None = None
    recorder.start()
    try:
        termination.start()
        script.run()
    except BaseException as raised:
        error = raised
    return error


def _ended(
    recorder: DeferredRecorder, script: Script, error: BaseException | None, outputs: Outputs
) -> Trace | BaseException:
    """The trace of a script that has ended, or why there is none."""
    try:
        with interruptible(outputs.patience), script.as_it_was_read():
            trace: Trace | BaseException = recorder.stop(None if isinstance(error, SystemExit) else error)
    except (Exception, KeyboardInterrupt, TerminatedError) as fault:
        trace = fault
    if error is not None:
        recorder.strip(error)
        hide_our_frames(error)
    return trace


def _leave_report(
    recorder: DeferredRecorder, frame: FrameType | None, script: Script, outputs: Outputs
) -> Trace | BaseException:
    """Report what a script has done until now, when it is ended by a signal; no code of its own runs any more."""
    try:
        with interruptible(), script.as_it_was_read():
            trace: Trace | BaseException = recorder.stop_at(frame)
    except (Exception, KeyboardInterrupt, TerminatedError) as fault:
        trace = fault
    outputs.report(trace)
    return trace


def _flush() -> None:
    """Have what the script has printed stand before the report."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()

"""`inplace.enable()` and the variable INPLACE: a script records itself, for launchers that can't be changed.

NOTE [ A script that records itself ]
It has begun by then, so what is recorded begins here, and its own frames and streams are as they are. The report is
made when Python ends: after the traceback of what has ended the script, and after what it has registered with `atexit`
since. An exception is heard of by `sys.excepthook`, so that Python prints it without our frames. Children by
`multiprocessing` are recorded as with `inplace run`, and a rank that torchrun has started is one of its job.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import os
import shlex
import sys
import sysconfig
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from inplace.capture.patches.ledger import Ledger
from inplace.facts.errors import RecordingError
from inplace.shells.environment import running_shell
from inplace.shells.keep import Keep, first_needing, refused, window_of
from inplace.shells.recorder import kept_by, recorder_of, windows_seen
from inplace.shells.terminal.children import Family, Left
from inplace.shells.terminal.complaint import complain
from inplace.shells.terminal.deferred import DeferredRecorder
from inplace.shells.terminal.ending import hide_our_frames
from inplace.shells.terminal.options import options_of_run
from inplace.shells.terminal.outputs import Outputs
from inplace.shells.terminal.per_process import file_of_rank
from inplace.shells.terminal.script import as_read
from inplace.shells.terminal.signals import TerminatedError, Termination, interruptible

if TYPE_CHECKING:
    from inplace.capture.record import Recorder
    from inplace.facts.model import Trace

VARIABLE = "INPLACE"
"""Environment variable: `1`, or options as of `inplace run`, has scripts that import inplace record themselves; `0`
keeps those from it that call `inplace.enable()`.
"""
_OFF, _ON = frozenset({"0", "off", "no", "false"}), frozenset({"1", "on", "yes", "true"})
_PACKAGE = str(Path(__file__).resolve().parents[2])
_taken: list[_Enabled | None] = []  # what records this process; None in it for `inplace run`


def take() -> None:
    """This process is recorded already: to enable it asks for nothing more."""
    for enabled in _taken:
        if enabled is not None:
            enabled.forget()
    _taken[:] = [None]


def enable(
    *,
    json: str | None = None,
    html: str | None = None,
    trace: str | None = None,
    sarif: str | None = None,
    github: bool = False,
    quiet: bool = False,
    strict: bool = False,
    advise: bool = False,
    gradients: bool = False,
    light: bool = False,
    keep: Keep = False,
    children: bool = True,
) -> bool:
    """Record this script from here to its end, and report then as `inplace run` does; in a notebook, every cell.

    For scripts that something else starts (SLURM, make, torchrun). Where the environment variable INPLACE is `0`,
    nothing is done; where it has options, such as `INPLACE="--json out.json"`, they are added to those given here.

    Args:
        json: file for the diagnoses; `{rank}` and `{pid}` in a name stand for the process's.
        html: file for the interactive page.
        trace: file for the trace.
        sarif: file for the diagnoses as SARIF.
        github: whether to print them as GitHub's workflow commands.
        quiet: whether to print no report.
        strict: whether a write that would destroy what backward needs is stopped.
        advise: whether to say which calls could be in place, and what backward keeps.
        gradients: whether to print the ledger of gradients.
        light: whether to note versions, saves and writes only, which costs least.
        keep: whether to let go of what can't matter any more, so that the script may run for ever, or the megabytes
            of a window after which that is done (64 where it is only switched on).
        children: whether to record children of `multiprocessing` too.

    Returns:
        Whether this process is recorded: not in a child of one that is, whose recording is its parent's.

    Raises:
        RecordingError: in another thread than the main one, whose calls alone would be recorded.
        ValueError: if `keep` is no size of a window, or stands beside `trace` or `advise`, which need every call.
    """
    window = window_of(keep)
    option = first_needing(window, {"trace": trace is not None, "advise": advise})
    if option is not None:
        raise ValueError(refused(option, "keep"))
    said = os.environ.get(VARIABLE, "").strip()
    if said.lower() in _OFF:
        return False
    options = argparse.Namespace(
        json=json,
        html=html,
        write=trace,
        sarif=sarif,
        github=github,
        quiet=quiet,
        strict=strict,
        advise=advise,
        gradients=gradients,
        light=light,
        keep=window,
        children=children,
    )
    asked = None if not said else _asked(said)
    return _begin(options if asked is None else _both(options, asked))


def enable_by_variable(importing: FrameType | None) -> None:
    """Do what INPLACE asks for, where it is the user's own code that imports inplace; `importing` is our own frame."""
    said = os.environ.get(VARIABLE, "").strip()
    if not said or said.lower() in _OFF or not _is_users(importing):
        return
    options = _asked(said)
    if options is not None:
        with contextlib.suppress(RecordingError):
            _begin(options)


def _is_users(frame: FrameType | None) -> bool:
    """Whether it is the user's code that imports us, in a process whose main module is the user's."""
    while frame is not None and (
        frame.f_code.co_filename.startswith(("<frozen importlib", _PACKAGE)) or "importlib" in frame.f_code.co_filename
    ):
        frame = frame.f_back
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if running_shell() is not None:
        main = None
    elif main is None or hasattr(sys, "ps1"):
        return False
    others = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib", "scripts")]
    files = [file for file in (main, None if frame is None else frame.f_code.co_filename) if file is not None]
    return frame is not None and not any(os.path.realpath(file).startswith(tuple(others)) for file in files)


def _asked(said: str) -> argparse.Namespace | None:
    """The options in a text, None where it can't be understood, which is said."""
    words = [] if said.lower() in _ON else shlex.split(said)
    try:
        options = options_of_run(words)
    except ValueError as wrong:
        complain(f"{VARIABLE} is understood as options of inplace run, or 1 or 0 ({wrong}): it is left out.")
        return None
    return options


def _both(some: argparse.Namespace, more: argparse.Namespace) -> argparse.Namespace:
    """Options with more of them; where both name a file it is that of the latter."""
    found = {name: getattr(more, name) or value for name, value in vars(some).items()}
    return argparse.Namespace(**{**found, "children": some.children and more.children})


def _begin(options: argparse.Namespace) -> bool:
    shell = running_shell()
    if shell is not None:
        from inplace.shells.notebook.extension import record_every_cell

        record_every_cell(shell, options)
        return True
    if _is_child():
        return False  # its parent has it recorded, or nobody
    if _taken:
        if _taken[0] is not None:
            _taken[0].ask_for(options)
        return True
    if threading.current_thread() is not threading.main_thread():
        raise RecordingError("only the main thread can be recorded to its end: call inplace.enable() there")
    _taken.append(_Enabled(sys.modules["__main__"], options))
    return True


def _is_child() -> bool:
    """Whether `multiprocessing` has started this process, which may be about to run the main module again."""
    process = sys.modules.get("multiprocessing.process")
    if process is None:
        return False
    return process.parent_process() is not None or hasattr(process.current_process(), "_inheriting")


class _Enabled:
    """The recording of a script that has begun, to its end.

    Args:
        main: the script's module.
        options: those of `inplace run`.
    """

    def __init__(self, main: ModuleType, options: argparse.Namespace) -> None:
        self._process, self._main, self._options = os.getpid(), main, options
        self._file = _file_of(main)
        self._source: bytes | None = None
        with contextlib.suppress(OSError):  # it may have been changed by the end
            self._source = Path(self._file).read_bytes()
        how = {"strict": options.strict, "thorough": options.advise, "light": options.light, "keep": options.keep}
        self._family = Family(self._file, Family.new_folder(), **how)
        self._trace: Trace | BaseException | None = None
        self._error: BaseException | None = None
        self._ledger = Ledger()
        self._recorder = DeferredRecorder(self._make)
        self._seen = windows_seen(options.keep)
        self._outputs = self._opened()
        self._termination = Termination(self._terminated)
        atexit.register(self._end)
        self._ledger.replace(sys, "excepthook", self._hook)
        self._recorder.start()
        self._termination.start()

    def ask_for(self, options: argparse.Namespace) -> None:
        """More options; how it is recorded is settled where torch has been imported already."""
        self._outputs.__exit__()
        self._options = _both(options, self._options)
        self._options.keep = self._family.keep  # which is settled
        self._outputs = self._opened()

    def forget(self) -> None:
        """Record nothing and report nothing."""
        atexit.unregister(self._end)
        with contextlib.suppress(Exception):
            self._recorder.stop(None)
        self._close()

    def _opened(self) -> Outputs:
        """The files and streams of the report."""
        outputs = _outputs(self._options)
        if (seen := self._seen) is not None:
            outputs.explain = lambda run, tell: seen.ended(self._recorder.session(run), run, tell)
        return outputs

    def _make(self) -> Recorder:
        if self._options.children:
            self._family.follow(self._ledger)
        title, space = Path(self._file).name, vars(self._main)
        asked = self._options
        how = {"strict": asked.strict, "thorough": asked.advise, "light": asked.light}
        return recorder_of([self._file], space, title=title, gives_way=True, **how, **kept_by(self._seen))

    def _hook(self, theirs: Callable[..., Any]) -> Callable[..., Any]:
        def excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> Any:
            if os.getpid() == self._process:
                self._stop(error)
            return theirs(kind, error, error.__traceback__ if traceback is not None else None)

        return excepthook

    def _stop(self, error: BaseException | None) -> None:
        """End the recording; once is enough."""
        if self._trace is not None:
            return
        self._error = error
        try:
            with interruptible(self._outputs.patience), as_read(self._file, self._source):
                self._trace = self._recorder.stop(error)
        except (Exception, KeyboardInterrupt, TerminatedError) as fault:
            self._trace = fault
        if error is not None:
            self._recorder.strip(error)
            hide_our_frames(error)

    def _end(self) -> None:
        """Report, when Python ends; a process that the script has forked reports nothing."""
        if os.getpid() != self._process:
            return
        self._stop(getattr(sys, "last_exc", None) or getattr(sys, "last_value", None))
        self._report(self._trace, self._error)
        self._close()

    def _terminated(self, frame: FrameType | None) -> None:
        try:
            with interruptible(), as_read(self._file, self._source):
                trace: Trace | BaseException = self._trace or self._recorder.stop_at(frame)
        except (Exception, KeyboardInterrupt, TerminatedError) as fault:
            trace = fault
        self._report(trace, self._error)

    def _report(self, trace: Trace | BaseException | None, error: BaseException | None) -> None:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        traces: list[Left] = []
        with contextlib.suppress(Exception), interruptible():
            traces = self._family.traces()
            self._family.remove()
        if trace is not None:
            self._outputs.report(trace, error, None, traces)

    def _close(self) -> None:
        self._ledger.undo()
        self._termination.stop()
        self._outputs.__exit__()


def _outputs(options: argparse.Namespace) -> Outputs:
    return Outputs(
        json=_named(options.json),
        html=_named(options.html),
        trace=_named(options.write),
        sarif=_named(options.sarif),
        github=options.github,
        quiet=options.quiet,
        advise=options.advise,
        gradients=options.gradients,
    )


def _named(given: str | None) -> str | None:
    return None if given is None else file_of_rank(given)


def _file_of(main: ModuleType) -> str:
    """What Python calls the code of the main module, which is what runs outermost."""
    frame: FrameType | None = sys._getframe()
    found = getattr(main, "__file__", None) or "<string>"
    while frame is not None:
        if frame.f_globals is vars(main) and frame.f_code.co_name == "<module>":
            found = frame.f_code.co_filename
        frame = frame.f_back
    return str(found)

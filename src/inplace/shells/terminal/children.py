"""Children of a run: each is recorded as the script is, and leaves its trace where the run will find it.

NOTE [ How a child begins ]
`multiprocessing` runs whatever it has started, by whichever method, in `BaseProcess._bootstrap` (`Pool`,
`ProcessPoolExecutor`, `torch.multiprocessing.spawn` and the workers of a DataLoader too), so that is where a child's
recording begins; coverage.py does the same. A forked child has our replacement from its parent. One that is spawned, or
comes from a fork server, begins anew: what it is sent of its parent (`spawn.get_preparation_data`) carries an item that
makes the replacement when it is read. Nothing of it may fail there, wherever our package is: so the item is a piece of
Python that looks for itself.

NOTE [ When a child ends ]
`_bootstrap` calls `util._exit_function` as soon as the child's own code is over, while an exception that ended it is on
its way: there the recording ends and the trace is written, in time for a parent that waits a few seconds at most (a
DataLoader). The parent looks at all of them; a child prints nothing.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from inplace.capture.patches.ledger import Ledger
from inplace.shells.recorder import kept_by, recorder_of, windows_seen
from inplace.shells.terminal.deferred import DeferredRecorder
from inplace.shells.terminal.signals import Termination, held
from inplace.shells.terminal.terminating import see_children_end

if TYPE_CHECKING:
    from inplace.facts.model import Trace
    from inplace.shells.windows import WindowsSeen

FAMILY = "INPLACE_FAMILY"
"""Environment variable: the folder in which ranks that a launcher has started leave their traces, and its id."""
_LAST = -100  # of what `multiprocessing` does when Python ends: behind the ends of its children
_PAST, _SESSION = ".past", ".session"
_ROOT = str(Path(__file__).resolve().parents[3])
_ARRIVAL = """
import sys
sys.path.insert(0, {root!r})
try:
    from inplace.capture.patches.ledger import Ledger
    from inplace.shells.terminal.children import Family
    Family(**{facts!r}).follow(Ledger())
except Exception:
    pass
finally:
    if {root!r} in sys.path:
        sys.path.remove({root!r})
"""


@dataclass(frozen=True)
class Left:
    """What a child has left: its trace; and where it let go of windows what was told of them, and its session's."""

    trace: Trace
    past: dict[str, Any] | None = None
    session: Trace | None = None


@dataclass(frozen=True)
class Family:
    """What the children of a run are to know: the script, where their traces go, and how they are recorded."""

    file: str
    folder: str
    strict: bool = False
    thorough: bool = False
    light: bool = False
    keep: float | None = None  # megabytes of a window

    def follow(self, ledger: Ledger) -> None:
        """Have the children of this process recorded until a ledger is undone."""
        import multiprocessing.spawn
        from multiprocessing.process import BaseProcess

        ledger.replace(BaseProcess, "_bootstrap", self._bootstrap)
        ledger.replace(multiprocessing.spawn, "get_preparation_data", self._prepared)
        see_children_end(self.mark_of)

    def mark_of(self, process: int) -> Path:
        """The file that is there while a child can be told to end, and leaves its trace first."""
        return Path(self.folder) / f"{process}.mark"

    def launch(self, ledger: Ledger) -> None:
        """Have what torchrun, or what is built on it, starts from here run under `inplace run`."""
        launcher = import_module("torch.distributed.launcher.api")
        Path(self.folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        ledger.replace(launcher, "launch_agent", self._launched)

    def _launched(self, theirs: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(theirs)
        def launch_agent(config: Any, entrypoint: Any, args: Any, *rest: Any, **kwargs: Any) -> Any:
            if not isinstance(entrypoint, str) or list(args[:1]) != ["-u"]:  # no script of Python's, or a function
                return theirs(config, entrypoint, args, *rest, **kwargs)
            flags = ["--strict"] * self.strict + ["--advise"] * self.thorough + ["--light"] * self.light
            flags += [] if self.keep is None else [f"--keep={self.keep:g}"]
            os.environ[FAMILY] = f"{os.getpid()}:{self.folder}"
            try:
                ours = ["-u", "-m", "inplace", "run", *flags, *args[1:]]
                return theirs(config, entrypoint, ours, *rest, **kwargs)
            finally:
                os.environ.pop(FAMILY, None)

        return launch_agent

    def traces(self) -> list[Left]:
        """What the children that have ended have left, the first started first; one that can't be read is left out."""
        from inplace.facts.codec import load
        from inplace.facts.errors import TraceFormatError

        found = []
        for path in sorted(Path(self.folder).glob("*.trace"), key=lambda path: path.stat().st_mtime_ns):
            with contextlib.suppress(OSError, TraceFormatError):
                past, session = path.with_suffix(_PAST), path.with_suffix(_SESSION)
                is_long = past.exists()
                told = json.loads(past.read_text(encoding="utf-8")) if is_long else None
                found.append(Left(load(path), told, load(session) if is_long else None))
        return found

    @staticmethod
    def new_folder() -> str:
        """A name for a folder of this run's, which is made by who first leaves something there."""
        return str(Path(tempfile.gettempdir()) / f"inplace-{os.getpid()}-{time.time_ns()}")

    def remove(self) -> None:
        """Remove the traces and marks: where children still run, when Python has ended those."""
        import shutil

        if _running():
            from multiprocessing.util import Finalize

            Finalize(None, shutil.rmtree, (self.folder, True), exitpriority=_LAST)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def leave(self, trace: Trace, seen: WindowsSeen | None = None, session: Trace | None = None) -> None:
        """Write the trace of this process, if there is anything in it.

        Where it has let go of windows, write also what was told of them, and the trace of the last behind what was
        kept.
        """
        from inplace.facts.codec import dump
        from inplace.facts.whole_file import replacing

        if trace.calls or trace.notes:
            Path(self.folder).mkdir(mode=0o700, parents=True, exist_ok=True)
            own = Path(self.folder) / f"{os.getpid()}.trace"
            past = None if seen is None else seen.past
            if past is not None and session is not None:
                with replacing(str(own.with_suffix(_PAST))) as path:
                    path.write_text(json.dumps(past), encoding="utf-8")
                with replacing(str(own.with_suffix(_SESSION))) as path:
                    dump(session, path)
            with replacing(str(own)) as path:
                dump(trace, path)

    def _bootstrap(self, theirs: Callable[..., int]) -> Callable[..., int]:
        def _bootstrap(process: Any, *args: Any, **kwargs: Any) -> int:
            child = None
            with contextlib.suppress(Exception):
                child = _Child(self, process)
                child.start()
            try:
                return theirs(process, *args, **kwargs)
            finally:
                if child is not None:
                    child.end(None)

        return _bootstrap

    def _prepared(self, theirs: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        def get_preparation_data(*args: Any, **kwargs: Any) -> dict[str, Any]:
            return {**theirs(*args, **kwargs), "inplace": _Arrival(self)}

        return get_preparation_data


def parent_here() -> tuple[int, str] | None:
    """The id of the run that has this process launched, and its folder; None where there is none. Asked once."""
    number, found, folder = os.environ.pop(FAMILY, "").partition(":")
    return (int(number), folder) if found and number.isdecimal() else None


def is_waited_for() -> bool:
    """Whether children still run, which Python waits for when it ends, and nothing else does."""
    others = [one for one in threading.enumerate() if not one.daemon and one is not threading.main_thread()]
    return bool(_running()) and not others


def _running() -> list[Any]:
    """The children of `multiprocessing` that run."""
    process: Any = sys.modules.get("multiprocessing.process")
    return [] if process is None else [one for one in process._children if one.is_alive()]


class _Arrival:
    """What has a child follow its own children, and itself, when it is read; see NOTE [ How a child begins ]."""

    def __init__(self, family: Family) -> None:
        self._family = family

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return exec, (_ARRIVAL.format(root=_ROOT, facts=asdict(self._family)),)


class _Child:
    """The recording of a child that is about to run."""

    def __init__(self, family: Family, process: Any) -> None:
        import multiprocessing

        method = str(getattr(process, "_start_method", None) or multiprocessing.get_start_method())
        space = vars(sys.modules["__main__"])
        child = method, int(process._parent_pid)
        self._family, self._ledger = family, Ledger()
        self._is_over = False
        self._seen = windows_seen(family.keep)
        self._recorder = DeferredRecorder(
            lambda: recorder_of(
                [family.file],
                space,
                title=Path(family.file).name,
                strict=family.strict,
                thorough=family.thorough,
                light=family.light,
                gives_way=True,
                child=child,
                **kept_by(self._seen),
            )
        )
        self._termination = Termination(self._terminated, family.mark_of(os.getpid()))

    def start(self) -> None:
        """Begin to record."""
        from multiprocessing import util

        self._ledger.replace(util, "_exit_function", self._at_exit)
        self._recorder.start()
        self._termination.start()

    def end(self, error: BaseException | None) -> None:
        """The child's own code is over; once is enough."""
        if self._is_over:
            return
        with held():  # a pool that is done ends its workers while they are ending
            self._is_over = True
            self._termination.stop()
            self._ledger.undo()
            self._written(lambda: self._recorder.stop(None if isinstance(error, SystemExit) else error))
        if error is not None:
            self._recorder.strip(error)

    def _at_exit(self, theirs: Callable[..., None]) -> Callable[..., None]:
        def _exit_function(*args: Any, **kwargs: Any) -> None:
            self.end(sys.exc_info()[1])
            theirs(*args, **kwargs)

        return _exit_function

    def _terminated(self, frame: FrameType | None) -> None:
        if not self._is_over:
            self._is_over = True
            self._written(lambda: self._recorder.stop_at(frame))

    def _written(self, make: Callable[[], Trace]) -> None:
        """Write the trace, or why there is none."""
        from inplace.facts.model import Note
        from inplace.shells.terminal.deferred import empty_trace

        try:
            trace = make()
        except Exception as fault:
            told = " ".join(f"{type(fault).__name__}: {fault}".split())
            trace = replace(empty_trace(), notes=(Note(f"A child was not recorded ({told})."),))
        with contextlib.suppress(Exception):
            session = None if self._seen is None else self._recorder.session(trace)
            self._family.leave(trace, self._seen, session)

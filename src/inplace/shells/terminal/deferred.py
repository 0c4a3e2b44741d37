"""Records a script from the moment at which it has imported torch.

There is nothing to record before that, and to import torch ourselves would be too early for a script that sets up its
environment (`OMP_NUM_THREADS`), its paths or its processes first, and too much for one that has no need of it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

from inplace.capture.patches.ledger import Inserted, Ledger, Replacement
from inplace.facts.errors import RecordingError

if TYPE_CHECKING:
    from inplace.capture.record import Recorder
    from inplace.facts.model import Trace

_AWAITED = "torch"
_ELSEWHERE = "torch was first imported by another thread, so nothing was recorded: import it in the script itself"
_TERMINATED = "SIGTERM ended the script before its end, so what it would have done is not known."


class DeferredRecorder:
    """A recorder that begins once torch has been imported in this thread.

    Args:
        make: makes the recorder. Called at most once, when torch is there.
    """

    def __init__(self, make: Callable[[], Recorder]) -> None:
        self._make = make
        self._recorder: Recorder | None = None
        self._fault: Exception | None = None
        self._trace: Trace | None = None
        self._thread = threading.get_ident()
        self._process = os.getpid()
        self._ledger = Ledger()

    def start(self) -> None:
        """Begin to record, or wait for torch."""
        if _AWAITED in sys.modules:
            self._begin()
        else:
            self._ledger.make(Inserted(sys, "meta_path", 0, _Finder(self._ledger, self._begin)))

    def stop(self, error: BaseException | None) -> Trace:
        """End the recording and give its trace, an empty one where torch was never imported.

        Raises:
            Exception: the fault of ours because of which there is no trace.
        """
        self._ledger.undo()
        if self._fault is not None:
            raise self._fault
        if self._recorder is None and _AWAITED in sys.modules:
            raise RecordingError(_ELSEWHERE)
        self._trace = empty_trace() if self._recorder is None else self._recorder.stop(error)
        return self._trace

    def stop_at(self, frame: FrameType | None) -> Trace:
        """The same where a signal ends the process while `frame` runs."""
        from dataclasses import replace

        from inplace.facts.model import Note

        if self._trace is None and self._recorder is not None:
            self._recorder.leave_calls(frame)
        elif self._trace is None and self._fault is None:
            self._ledger.undo()
            self._trace = empty_trace()
        trace = self._trace or self.stop(None)
        return replace(trace, notes=(*trace.notes, Note(_TERMINATED)))

    def session(self, run: Trace) -> Trace:
        """The trace behind what is kept of its windows before it, for a recording that has some."""
        from dataclasses import replace

        if self._recorder is None:
            return run
        session, _ = self._recorder.session()
        return replace(session, notes=run.notes)

    def strip(self, error: BaseException) -> None:
        """Take the frames that recording added out of the tracebacks of `error`."""
        if self._recorder is not None:
            self._recorder.strip(error)

    def _begin(self) -> None:
        """Begin to record, where it is this thread of this process that we were asked to record."""
        if (threading.get_ident(), os.getpid()) != (self._thread, self._process):
            return
        try:
            recorder = self._make()
            recorder.start()
        except Exception as fault:
            self._fault = fault
        else:
            self._recorder = recorder


def empty_trace() -> Trace:
    """The trace of a recording that never began."""
    from inplace.facts.model import Trace

    return Trace("", (), (), (), (), (), (), (), (), (), (), (), (), ())


class _Finder:
    """Tells when torch has been imported. It finds nothing that others don't find.

    Args:
        ledger: where it stands, and what it changes; it is undone when torch is there.
        imported: is called then.
    """

    def __init__(self, ledger: Ledger, imported: Callable[[], None]) -> None:
        self._ledger, self._imported = ledger, imported

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of torch as the other finders find it, with a loader that tells us when it is done."""
        if name != _AWAITED:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                self._follow(spec.loader)
                return spec
        return None

    def _follow(self, loader: Any) -> None:
        if loader is not None and not isinstance(loader, type):  # a namespace package, or a loader that is shared
            self._ledger.replace(loader, "exec_module", lambda theirs: partial(self._run, theirs))

    def _run(self, theirs: Callable[[ModuleType], None], module: ModuleType) -> None:
        """Run torch as its loader does, which is as it was by then."""
        for change in self._ledger:
            if isinstance(change, Replacement):
                self._ledger.undo_early(change)
        theirs(module)
        self._ledger.undo()
        self._imported()

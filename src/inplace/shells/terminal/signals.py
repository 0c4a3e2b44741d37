"""Signals that end a process: what is done when one comes while a script runs, and while its report is made.

NOTE [ SIGTERM ]
By default it ends a process at once, with no code of Python's run. A handler of ours stands where there would be none:
it leaves the report and then ends the process as it would have been ended. The script sees none of it: it is told of
the default, a handler of its own replaces ours, what it forks has the default, and what it executes too. Python runs
handlers in the main thread between two bytecodes, so a call into C that never returns keeps the process from ending,
and so does one that waits, where the signal comes just before it: whoever ends a child of `multiprocessing` tells it
again until it has heard it, or kills it (`terminating`). So that it is told again only where our handler stands, and
has not begun, the child has a mark meanwhile: an empty file.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import warnings
from _thread import start_new_thread
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

from inplace.capture.patches.ledger import Ledger

_PACKAGE = str(Path(__file__).parents[2])
_SOON = 0.001  # seconds
_MOST = 5000  # times that we let our own code go on first
_DEPTH = 1000  # frames that a report may need
_functions: Any = signal._signal  # type: ignore[attr-defined]  # the module in C that `signal` asks


class TerminatedError(BaseException):
    """Raised while a report is made, where the process is told to end."""


class Termination:
    """Has a process that SIGTERM ends leave its report first.

    Args:
        leave: leaves the report; is given the frame that was running.
        mark: a file that is there while our handler stands and has not begun; None for no such file.
    """

    def __init__(self, leave: Callable[[FrameType | None], None], mark: Path | None = None) -> None:
        self._leave = leave
        self._mark = mark
        self._is_leaving = False
        self._process = os.getpid()
        self._ledger = Ledger()
        self._times = 0
        self._mask: Any = None  # the signals that waited before a child was made
        self._handler = self._come  # one object, which `signal` gives back

    def start(self) -> None:
        """Stand where there is no handler; not in the first process of a container, which SIGTERM does not end."""
        if os.name != "posix" or threading.current_thread() is not threading.main_thread():
            return
        if self._process == 1 or _functions.getsignal(signal.SIGTERM) != _functions.SIG_DFL:
            return
        self._ledger.replace(signal, "_signal", lambda theirs: SimpleNamespace(**{**vars(theirs), **self._told()}))
        _functions.signal(signal.SIGTERM, self._handler)
        self._put_mark()
        os.register_at_fork(before=self._hold, after_in_parent=self._let_come, after_in_child=self._leave_child)

    def _hold(self) -> None:
        """Have signals wait while a child is made: Python drops those that come to it at first."""
        if _functions.getsignal(signal.SIGTERM) is self._handler:
            self._mask = _functions.pthread_sigmask(_functions.SIG_BLOCK, {signal.SIGTERM})

    def _let_come(self) -> None:
        mask, self._mask = self._mask, None
        if mask is not None:
            _functions.pthread_sigmask(_functions.SIG_SETMASK, mask)

    def _leave_child(self) -> None:
        self.stop()
        self._let_come()

    def stop(self) -> None:
        """Leave the default where we stand, and let go of the script: `register_at_fork` keeps us to the end."""
        self._leave = _nothing_left
        self._take_mark()
        self._ledger.undo()
        if _functions.getsignal(signal.SIGTERM) is self._handler:
            _functions.signal(signal.SIGTERM, _functions.SIG_DFL)

    def _told(self) -> dict[str, Callable[..., Any]]:
        """What the script is told of handlers: the default where there is ours."""

        def getsignal(number: int) -> Any:
            found = _functions.getsignal(number)
            return _functions.SIG_DFL if found is self._handler else found

        def replace(number: int, action: Any) -> Any:
            ours = number == signal.SIGTERM and isinstance(action, int) and action == _functions.SIG_DFL
            if number == signal.SIGTERM and not ours:
                self._take_mark()  # a handler of the script's is called once for each signal
            before = _functions.signal(number, self._handler if ours else action)
            if ours:
                self._put_mark()
            return _functions.SIG_DFL if before is self._handler else before

        return {"getsignal": getsignal, "signal": replace}

    def _come(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # forked by other code than Python's
            end_by(number)
        if self._is_leaving:  # it is told again, and is about to end
            return
        if frame is not None and frame.f_code.co_filename.startswith(_PACKAGE) and self._times < _MOST:
            self._times += 1  # what it notes is to be whole
            start_new_thread(_again, (number,))
            return
        self._is_leaving = True
        try:
            self._take_mark()
            self._leave(frame)
        finally:
            end_by(number)

    def _put_mark(self) -> None:
        if self._mark is not None:
            with contextlib.suppress(OSError):
                self._mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._mark.touch()

    def _take_mark(self) -> None:
        if self._mark is not None and os.getpid() == self._process:
            with contextlib.suppress(OSError):
                self._mark.unlink(missing_ok=True)


def _nothing_left(_frame: FrameType | None) -> None:
    """The report is made, or is another process's."""


def _again(number: int) -> None:
    time.sleep(_SOON)
    os.kill(os.getpid(), number)


def end_by(number: int) -> None:
    """End this process as a signal does by default."""
    with contextlib.suppress(OSError, ValueError):
        _functions.signal(number, _functions.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(128 + number)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """A block in which SIGTERM waits; one that has come by then is handled before it."""
    if not hasattr(_functions, "pthread_sigmask"):
        yield
        return
    before = _functions.pthread_sigmask(_functions.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        _functions.pthread_sigmask(_functions.SIG_SETMASK, before)


@contextlib.contextmanager
def interruptible(hold: Callable[[], None] | None = None) -> Iterator[None]:
    """A block that SIGINT and SIGTERM end by an exception, whatever a script has set up that would be felt in it.

    With `hold` it goes on at SIGTERM, of which `hold` is told: whoever starts several processes tells the others to
    end when one has failed, and gives them time for it. Afterwards the script's
    handlers, its alarm, its filters of warnings and its recursion limit are as it left them.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        limit = sys.getrecursionlimit()
        stack.callback(sys.setrecursionlimit, limit)
        sys.setrecursionlimit(max(limit, _depth() + _DEPTH))
        if threading.current_thread() is threading.main_thread():
            if hasattr(_functions, "setitimer"):
                alarm = _functions.setitimer(signal.ITIMER_REAL, 0)
                stack.callback(_functions.setitimer, signal.ITIMER_REAL, *alarm)
            _handle(stack, signal.SIGINT, signal.default_int_handler)
            _handle(stack, signal.SIGTERM, _raise if hold is None else lambda *_: hold())
        yield


def _handle(stack: contextlib.ExitStack, number: int, handler: Any) -> None:
    """Have a signal handled until the end of a block, unless it is ignored or not Python's."""
    before = _functions.getsignal(number)
    if before is not None and before != _functions.SIG_IGN:
        stack.callback(_functions.signal, number, before)
        _functions.signal(number, handler)


def _raise(_number: int, _frame: FrameType | None) -> None:
    raise TerminatedError


def _depth() -> int:
    frame: FrameType | None = sys._getframe()
    depth = 0
    while frame is not None:
        depth += 1
        frame = frame.f_back
    return depth

"""Recorder: pushes the mode, collects, freezes, always undoes."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from types import CodeType, FrameType, TracebackType
from typing import TYPE_CHECKING

import torch

from inplace.capture.calls import mode as call_mode
from inplace.capture.calls.functions import prepare
from inplace.capture.calls.mode import NOTING, CallMode
from inplace.capture.carried import Carried
from inplace.capture.code.stacks import Stacks
from inplace.capture.code.tracebacks import strip_recording
from inplace.capture.faults import BUFFERS, EARLIER, ERROR, GRAPHS, NAMES, Faults
from inplace.capture.freeze import freeze
from inplace.capture.graph.handles import NOT_SHOWN, UNPACKED
from inplace.capture.listening import Listening
from inplace.capture.parts import Parts
from inplace.capture.patches.ledger import Ledger
from inplace.capture.patches.mode_off import ModeOff
from inplace.capture.patches.mode_stack import ModeOn, height
from inplace.capture.patches.warned import Warned
from inplace.capture.process import process_here
from inplace.capture.tables.call_log import STACK, WIDTH
from inplace.capture.tables.tensors import know_distributed
from inplace.capture.told import Told
from inplace.capture.windows import Windows
from inplace.facts.errors import RecordingError
from inplace.facts.model import BEFORE, Look, NodeId, StorageId, Trace

if TYPE_CHECKING:
    from typing_extensions import Self

_GAVE_WAY = (
    "A recording of the code's own (`inplace.record`) began on line {}: what ran from there on is in that one only."
)
_FORKED = "this process was forked while the recording went on, which is that of its parent"


def _no_label(_file: str) -> str | None:
    return None


class Recorder:
    """Records the calls of the code that runs between `start` and `stop` in this thread.

    Args:
        title: what people are shown as the name of the recording (`In[3]`, `train.py`).
        is_cell: tells from a code object's file name whether it is the code that was asked to be recorded.
        namespace: where the user's variables are; None to leave names to the source text.
        label: the name to show for a file, None for its last part.
        strict: whether a write that would destroy a save is stopped with an OverwriteError.
        thorough: whether to look at the graph before every backward, and not before the first of each line only.
        light: whether to note versions, saves and writes only: no values, names, gradients or bytes of others.
        earlier: what the recording before it in the same session has handed on, `Carried()` for the first; None where
            there is no session.
        gives_way: whether another recording that begins in the recorded code ends this one, and is not refused.
        child: how this process was started and the id of the one whose recording it is a child of; None for no child.
        windows: how what is over is let go of; needs `earlier`. None to keep every call. See NOTE [ Windows ].

    Raises:
        RecordingError: by `start`, where another recording is going on; by `trace`, before the end.
    """

    _current: Recorder | None = None
    _is_told_of_forks = False

    def __init__(
        self,
        *,
        title: str,
        is_cell: Callable[[str], bool],
        namespace: Mapping[str, object] | None = None,
        label: Callable[[str], str | None] = _no_label,
        strict: bool = False,
        thorough: bool = False,
        light: bool = False,
        earlier: Carried | None = None,
        gives_way: bool = False,
        child: tuple[str, int] | None = None,
        windows: Windows | None = None,
    ) -> None:
        self._gives_way = gives_way
        self._child, self._process = child, os.getpid()
        self._title, self._label, self._namespace = title, label, namespace
        self._windows = None if earlier is None else windows
        self._thorough, self._light = thorough, light
        self._stacks = Stacks(is_cell)
        self._ledger = Ledger()
        self._faults = Faults(self._switch_off)
        self._listening = Listening(self._faults, strict=strict, light=light, full=self._full)
        self._mode = CallMode(self._stacks, self._listening)
        self._told = Told(
            *(self._mode, self._listening, self._ledger, self._faults), light=light, end_window=self._end_window
        )
        self._open(earlier)
        self._mode_off = ModeOff(self._mode, self._ledger, self._told.on_clear)
        self._warned = Warned(vars(call_mode), namespace or {}, self._ledger)
        self._trace: Trace | None = None

    def _open(self, earlier: Carried | None, *, is_window: bool = False) -> None:
        """Begin with empty tables, behind what a recording before has handed on, if any."""
        parts = self._parts = Parts(
            *(self._stacks, self._ledger, self._mode, self._listening, self._faults),
            namespace=self._namespace,
            label=self._label,
            light=self._light,
            thorough=self._thorough,
            earlier=earlier,
            windows=self._windows,
            is_window=is_window,
        )
        self._faults.turn_to(parts.raw.notes, parts.log.calls)
        self._listening.turn_to(parts)
        self._mode.turn_to(parts.notes, parts.seen, parts.arrivals)

    def _meet(self) -> None:
        """Meet what is there before the first call."""
        if not self._light:
            self._faults.spared(NAMES, self._parts.naming.note_names, BEFORE)
        if self._parts.continued is not None:
            self._faults.spared(EARLIER, self._parts.continued.meet)

    def _switch_off(self) -> None:
        self._mode.active = False

    # ------------------------------------------------------------ beginning and end

    def start(self, frame: FrameType | None = None) -> None:
        """Begin to record; `frame` is the one whose `with` block it is, if it is one."""
        if Recorder._current is not None:
            Recorder._current._give_way(frame or sys._getframe(1))
        if Recorder._current is not None:
            raise RecordingError("a recording is going on already: end it before you begin another")
        try:
            Recorder._current, self._process = self, os.getpid()
            _be_told_of_forks()
            self._faults.protected(prepare)
            self._faults.protected(know_distributed)
            self._faults.protected(self._stacks.enter, frame)
            self._meet()
            self._told.hook_steps()
            self._warned.start()
            self._mode_off.start()
            self._told.start(self._mode_off)
            if height():
                self._mode.shield()
            self._ledger.make(ModeOn(self._mode))
        except BaseException:
            self.undo()
            self._let_go()
            raise

    def _give_way(self, frame: FrameType) -> None:
        """The recorded code begins a recording of its own, in `frame`: what follows is that one's."""
        if self._gives_way and self._mode.is_here():
            self._parts.raw.notes.append(_GAVE_WAY.format(frame.f_lineno))
            self.stop()

    def undo(self) -> None:
        """Leave Python and PyTorch as they were before `start`, whatever was done of it.

        Doing so again changes nothing; where an interrupt comes meanwhile, it is done again.
        """
        self._ledger.undo()
        UNPACKED.end()
        self._stacks.stop()
        self._parts.contents.stop()
        if Recorder._current is self:
            Recorder._current = None

    def stop(self, error: BaseException | None = None) -> Trace:
        """End the recording and give its trace; `error` is the exception that ended the user's code, if one did.

        Where it has given way to another it has ended already.

        Raises:
            RecordingError: in a process that was forked while it went on: it is its parent's.
        """
        if self._trace is not None:
            return self._trace
        if self._process != os.getpid():
            raise RecordingError(_FORKED)
        try:
            self._mode.active = False
            self._faults.protected(self._listening.restore, error)
            self._look_at_the_end()
            exported = self._exported()
            self.undo()
            self._trace = self._closed(error, exported)
        finally:
            self.undo()
            self._let_go()
        return self._trace

    def abandon(self) -> None:
        """End the recording and make nothing of it."""
        self._mode.active = False
        try:
            self._faults.protected(self._listening.restore, None)
        finally:
            self.undo()
            self._let_go()

    def _look_at_the_end(self) -> None:
        if not self._faults.gave_up:
            self._faults.protected(self._parts.collectives.settle)
            self._faults.protected(self._parts.look_once_more)

    def _exported(self) -> AbstractSet[StorageId]:
        """The storages that others can write."""
        return {*self._parts.contents.watched, *self._parts.contents.asleep}

    def _closed(self, error: BaseException | None, exported: AbstractSet[StorageId]) -> Trace:
        """The trace of what the tables hold; `exported` are the storages that others could write in the end."""
        parts, faults = self._parts, self._faults
        raw, naming, continued = parts.raw, parts.naming, parts.continued
        step = parts.seen.step = len(parts.log)
        parts.seen.detail = not self._light
        parts.seen.bury()  # what has died since the last call
        if error is not None:
            faults.spared(ERROR, naming.note_error, error, step)
        if not faults.gave_up and not self._light:
            faults.spared(NAMES, naming.note_names, step)
            faults.spared(NAMES, naming.note_locals, error, step)
        if not faults.gave_up:
            faults.spared(GRAPHS, parts.walks.end, continued)
        if parts.walker.is_unseen:
            raw.notes.append(NOT_SHOWN)
        self._note_cut_stacks()
        faults.spared(BUFFERS, naming.note_buffers, parts.collectives.buffers)
        raw.collectives = parts.collectives.found
        raw.process = process_here(parts.collectives.rank, len(parts.collectives.world), self._child)
        known: frozenset[NodeId] = frozenset() if continued is None else continued.known
        run = freeze(raw, parts.notes, parts.seen, self._stacks, self._label, self._title, known)
        return run if continued is None else continued.end(run, exported)

    def _note_cut_stacks(self) -> None:
        """Note the stacks of which not all frames were kept."""
        made = self._parts.log.calls[STACK::WIDTH]
        for stack, kept in self._stacks.cut.items():
            if stack in made:
                count = made.count(stack)
                self._parts.raw.left_out.note(Look.FRAMES, kept, made.index(stack), stack=stack, count=count)

    def _let_go(self) -> None:
        """Reach nothing of the user's any more.

        What was imported meanwhile may have taken functions of ours for PyTorch's, as `torch._dynamo` does, and keeps
        them, and us, to the end of the process.
        """
        self._parts.close()
        self._listening.samples = None
        self._namespace = None
        self._warned.close()

    # ------------------------------------------------------------ windows

    def _full(self) -> None:
        if self._windows is not None and len(self._parts.log) >= self._windows.most:
            self._end_window()

    def _end_window(self) -> None:
        """Let go of what is over, unless something is just going on; see NOTE [ Windows ]."""
        if self._mode.active and self._parts.is_idle:
            self._faults.protected(self._turn)

    def _turn(self) -> None:
        windows, parts = self._windows, self._parts
        if windows is None or parts.continued is None:
            return
        self._look_at_the_end()
        known = parts.known()
        exported = self._exported()
        parts.contents.end()
        run = self._closed(None, exported)
        session, carried = parts.continued.session(run, goes_on=True)
        self._open(carried, is_window=True)
        parts.end_window()
        self._stacks.begin_again()
        self._meet()
        self._parts.go_on(*known)
        del known, parts
        windows.told(session, run)

    def session(self) -> tuple[Trace, Carried]:
        """The trace behind what is kept of the runs before it in the session, and what is handed on to the next."""
        if self._parts.continued is None:
            raise RecordingError("this recording is no run of a session: give it what the run before it has handed on")
        return self._parts.continued.session(self.trace)

    # ------------------------------------------------------------ what others ask

    def calls_so_far(self) -> int:
        """How many calls were recorded until now; may be asked in another thread."""
        return len(self._parts.log)

    @property
    def trace(self) -> Trace:
        """The trace; there is none before `stop`."""
        if self._trace is None:
            raise RecordingError("this recording has not ended yet: read its trace after the with block")
        return self._trace

    def __enter__(self) -> Self:
        self.start(sys._getframe(1))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop(error)
        if error is not None:
            self.strip(error)

    @staticmethod
    def strip(error: BaseException) -> None:
        """Take our frames out of the tracebacks of `error`, its causes and contexts."""
        strip_recording(error)

    def is_user(self, code: CodeType) -> bool:
        """Whether a code object was written by the user."""
        return self._stacks.is_user(code)

    def leave_alone(self, tensor: torch.Tensor) -> None:
        """Read nothing of a tensor that may be broken."""
        self._parts.seen.leave_alone(tensor)

    def leave_calls(self, frame: FrameType | None) -> None:
        """Note that the calls which are running while `frame` does will not return: the process is about to end."""
        for step in self._mode.running():
            self._parts.notes.leave(step)
        while frame is not None:
            if frame.f_code is NOTING:
                running = frame.f_locals
                pending = running.get("pending")
                self._parts.notes.leave(running.get("step", -1) if pending is None else pending[0])
            frame = frame.f_back


def _be_told_of_forks() -> None:
    """Have a process that is forked while we record be none of ours, whoever forks it."""
    if not Recorder._is_told_of_forks and hasattr(os, "register_at_fork"):
        Recorder._is_told_of_forks = True
        os.register_at_fork(after_in_child=_leave_to_the_parent)


def _leave_to_the_parent() -> None:
    """In a forked child: the recording that goes on is the parent's, and another may begin here."""
    recorder = Recorder._current
    if recorder is not None:
        recorder._mode.active = False
        with contextlib.suppress(Exception):
            recorder.undo()
        Recorder._current = None

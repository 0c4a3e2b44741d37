"""Recorder: pushes the mode, collects, freezes, always undoes."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.optimizer import (
    _global_optimizer_post_hooks,
    _global_optimizer_pre_hooks,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from inplace.capture.bytes.contents import Contents
from inplace.capture.bytes.samples import Samples
from inplace.capture.calls import mode as call_mode
from inplace.capture.calls.accumulated import Accumulated
from inplace.capture.calls.call_notes import CallNotes, sequence
from inplace.capture.calls.collectives import Collectives
from inplace.capture.calls.functions import prepare
from inplace.capture.calls.known import Known
from inplace.capture.calls.listener import Listener
from inplace.capture.calls.mode import CallMode
from inplace.capture.calls.optimizer_steps import LOST, SHOWN, OptimizerSteps, is_in_step
from inplace.capture.calls.strict import Saves
from inplace.capture.carried import Carried
from inplace.capture.code.objects import is_a, is_one_of, iterate
from inplace.capture.code.stacks import Stacks
from inplace.capture.code.tracebacks import leave, strip_recording
from inplace.capture.continued import Continued
from inplace.capture.freeze import Raw, freeze
from inplace.capture.gradients import Gradients
from inplace.capture.graph.due import WalksDue
from inplace.capture.graph.handles import NOT_SHOWN, UNPACKED, follow_hooks
from inplace.capture.graph.singular import singular_nodes
from inplace.capture.graph.walk import LIMIT, Walked, Walker
from inplace.capture.naming import Naming
from inplace.capture.patches.forward_stack import keep_our_frames_out
from inplace.capture.patches.ledger import Hooked, Ledger
from inplace.capture.patches.mode_off import ModeOff
from inplace.capture.patches.mode_stack import ModeOn, height, is_handed_on
from inplace.capture.patches.warned import Warned
from inplace.capture.patches.weak_references import forgetting, leave_ours_out
from inplace.capture.process import process_here
from inplace.capture.tables.arrivals import Arrivals
from inplace.capture.tables.call_log import GIVEN_WIDTH, STACK, WIDTH
from inplace.capture.tables.tensor_facts import node_of
from inplace.capture.tables.tensors import PLAIN, TYPES, know_distributed
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.capture.windows import Windows
from inplace.facts.errors import OverwriteError, RecordingError
from inplace.facts.model import BEFORE, Function, Kind, Look, NodeId, StorageId, Trace

if TYPE_CHECKING:
    from typing_extensions import Self

_ENGINE = "_engine_run_backward"
# What a fault of ours may cost.
_NAMES, _GRAPHS, _GRADIENTS = "Not all names", "Not all graphs", "Not all of what happened to gradients"
_EARLIER = "Not all of what earlier cells did"
_SAMPLES = "Not all writes that no call shows"
_BUFFERS = "Not all buffers that DistributedDataParallel overwrote"
_GAVE_WAY = (
    "A recording of the code's own (`inplace.record`) began on line {}: what ran from there on is in that one only."
)
_LIGHT = "Recorded lightly: values, names, gradients and what others write to memory that they share were not noted."
_FORKED = "this process was forked while the recording went on, which is that of its parent"
# Backwards of one line before which infinite derivatives are looked for, then ever more rarely: where the graph has a
# node that could have one, and where it had none.
_SINGULAR, _PLAIN = 64, 4


class _BackwardLine:
    """A line that goes backward.

    Attributes:
        times: its backwards.
        may_be_singular: whether its graph had a node, when it was looked at, whose derivative can be infinite.
    """

    __slots__ = ("may_be_singular", "times")

    def __init__(self) -> None:
        self.times, self.may_be_singular = 0, False


def _no_label(_file: str) -> str | None:
    return None


class Recorder(Listener):
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
        self.strict, self._thorough, self._light = strict, thorough, light
        self._stacks = Stacks(is_cell)
        self._ledger = Ledger()
        self._lost: set[str] = set()  # what a fault of ours has cost
        self._gave_up = False  # whether no tensor is to be looked at any more
        self._mode = CallMode(self._stacks, self)
        self._open(earlier)
        self._mode_off = ModeOff(self._mode, self._ledger, self._on_clear)
        self._warned = Warned(vars(call_mode), namespace or {}, self._ledger)
        self._trace: Trace | None = None

    def _open(self, earlier: Carried | None, *, is_window: bool = False) -> None:
        """Begin with empty tables, behind what a recording before has handed on, if any."""
        self._seen = TensorsSeen()
        self._walker = Walker(self._seen, reads_values=not self._light)
        arrivals = Arrivals(self._seen)
        self._notes = CallNotes(self._seen, arrivals, self._stacks, self)
        if self._windows is not None:
            self._notes.most = self._windows.calls
        if self._light:
            self._notes.detailed = 0
        self._raw = Raw()
        if self._light:
            self._raw.notes.append(_LIGHT)
        self._left_out = self._raw.left_out
        watcher = Contents(self._seen, self._stacks, self._ledger, self._left_out, self.calls_so_far)
        self._contents = self._raw.contents = watcher
        self.watched, self.asleep = self._contents.watched, self._contents.asleep
        self.external = self._seen.storages.external
        self.samples = None
        if not self._light:
            self.samples = Samples(self._seen, self._notes.log, self._notes.functions, self._contents)
        self._saves = Saves(self._seen, self._notes.log, self._place, self._left_out)
        self._naming = Naming(self._raw, self._seen, self._stacks, self._namespace, partial(self._lose, _NAMES))
        self._due = WalksDue(self._notes.log, self._seen.states, self._walker, self._left_out)
        self._lines: dict[int, _BackwardLine] = {}  # that go backward, by stack
        self._walked_steps: set[int] = set()
        self._gradients = self._raw.gradients = Gradients(self._seen, self._stacks, self._notes.log)
        self._collectives = Collectives(
            self._notes, self._seen, self._stacks, self._contents, partial(self.written_unseen, None)
        )
        self._accumulated = Accumulated(self._notes, self._seen)
        self._continued: Continued | None = None
        if earlier is not None:
            met = self._seen, self._raw, self._walker, self._watch
            self._continued = Continued(earlier, *met, is_window=is_window, windows=self._windows)
        self._mode.turn_to(self._notes, self._seen, arrivals)
        shown = 0 if self._light else SHOWN
        self._steps = OptimizerSteps(self._mode, self._notes, self._seen, self._stacks, shown=shown)

    def _place(self, stack: int) -> str | None:
        return self._stacks.place(stack, self._label)

    def _meet(self) -> None:
        """Meet what is there before the first call."""
        if not self._light:
            self._spared(_NAMES, self._naming.note_names, BEFORE)
        if self._continued is not None:
            self._spared(_EARLIER, self._continued.meet)

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
            self._protected(prepare)
            self._protected(know_distributed)
            self._protected(self._stacks.enter, frame)
            self._meet()
            self._hook_steps()
            self._warned.start()
            self._mode_off.start()
            self._mode_off.patch(torch.utils, "weakref", lambda theirs: forgetting(theirs, self._forget))
            keep_our_frames_out(self._mode_off.patch)
            leave_ours_out(self._mode_off.patch)
            follow_hooks(self._ledger.replace)
            self._mode_off.patch(torch.optim.Optimizer, "add_param_group", self._on_build)
            self._see_inside_backward()
            self._follow_collectives()
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
            self._raw.notes.append(_GAVE_WAY.format(frame.f_lineno))
            self.stop()

    def undo(self) -> None:
        """Leave Python and PyTorch as they were before `start`, whatever was done of it.

        Doing so again changes nothing; where an interrupt comes meanwhile, it is done again.
        """
        self._ledger.undo()
        UNPACKED.end()
        self._stacks.stop()
        self._contents.stop()
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
            self._protected(self._restore, error)
            self._look_at_the_end()
            exported = {*self.watched, *self.asleep}
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
            self._protected(self._restore, None)
        finally:
            self.undo()
            self._let_go()

    def _closed(self, error: BaseException | None, exported: AbstractSet[StorageId]) -> Trace:
        """The trace of what the tables hold; `exported` are the storages that others could write in the end."""
        step = self._seen.step = len(self._notes.log)
        self._seen.detail = not self._light
        self._seen.bury()  # what has died since the last call
        if error is not None:
            self._spared("Not all of the error", self._naming.note_error, error, step)
        if not self._gave_up and not self._light:
            self._spared(_NAMES, self._naming.note_names, step)
            self._spared(_NAMES, self._naming.note_locals, error, step)
        if not self._gave_up:
            self._spared(_GRAPHS, self._last_walk)
        if self._walker.is_unseen:
            self._raw.notes.append(NOT_SHOWN)
        self._note_cut_stacks()
        self._spared(_BUFFERS, self._naming.note_buffers, self._collectives.buffers)
        self._raw.collectives = self._collectives.found
        self._raw.process = process_here(self._collectives.rank, len(self._collectives.world), self._child)
        continued = self._continued
        known: frozenset[NodeId] = frozenset() if continued is None else continued.known
        run = freeze(self._raw, self._notes, self._seen, self._stacks, self._label, self._title, known)
        return run if continued is None else continued.end(run, exported)

    # ------------------------------------------------------------ windows

    def full(self) -> None:
        if self._windows is not None and len(self._notes.log) >= self._windows.most:
            self._end_window()

    def _end_window(self) -> None:
        """Let go of what is over, unless something is just going on; see NOTE [ Windows ]."""
        idle = not self._notes.running and not self._steps.is_left and not self._collectives.is_open
        if self._mode.active and idle:
            self._protected(self._turn)

    def _turn(self) -> None:
        windows, continued = self._windows, self._continued
        if windows is None or continued is None:
            return
        self._look_at_the_end()
        over, known = self._seen, self._known()
        exported = {*self.watched, *self.asleep}
        self._contents.end()
        run = self._closed(None, exported)
        session, carried = continued.session(run, goes_on=True)
        self._open(carried, is_window=True)
        over.close()
        self._stacks.begin_again()
        self._meet()
        self._go_on(*known)
        del known
        windows.told(session, run)

    def _known(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """The gradients that the code has in hand, and what there are samples of, which are compared once more."""
        gradients, samples = [*self._accumulated.live()], self.samples
        if samples is None:
            return gradients, []
        sampled = [*samples.standing()]
        samples.look()
        return gradients, sampled

    def _go_on(self, gradients: list[torch.Tensor], sampled: list[torch.Tensor]) -> None:
        """Know them in the next window, too."""
        for gradient in gradients:
            self._accumulated.know(gradient)
        if self.samples is not None:
            self.samples.go_on(sampled)

    def session(self) -> tuple[Trace, Carried]:
        """The trace behind what is kept of the runs before it in the session, and what is handed on to the next."""
        if self._continued is None:
            raise RecordingError("this recording is no run of a session: give it what the run before it has handed on")
        return self._continued.session(self.trace)

    def _let_go(self) -> None:
        """Reach nothing of the user's any more.

        What was imported meanwhile may have taken functions of ours for PyTorch's, as `torch._dynamo` does, and keeps
        them, and us, to the end of the process.
        """
        self._seen.close()
        self.samples = None
        self._naming.close()
        self._namespace = None
        self._warned.close()
        self._notes.known.clear()  # which has functions of theirs

    def calls_so_far(self) -> int:
        """How many calls were recorded until now; may be asked in another thread."""
        return len(self._notes.log)

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
        self._seen.leave_alone(tensor)

    def leave_calls(self, frame: FrameType | None) -> None:
        """Note that the calls which are running while `frame` does will not return: the process is about to end."""
        while frame is not None:
            if frame.f_code is CallMode.__torch_function__.__code__:
                running = frame.f_locals
                pending = running.get("pending")
                self._notes.leave(running.get("step", -1) if pending is None else pending[0])
            frame = frame.f_back

    def _hook_steps(self) -> None:
        """Be told before and after each step of an optimizer."""
        before, after = _global_optimizer_pre_hooks, _global_optimizer_post_hooks
        self._ledger.make(Hooked(register_optimizer_step_pre_hook, self._on_step, before))
        self._ledger.make(Hooked(register_optimizer_step_post_hook, self._after_step, after))

    def _see_inside_backward(self) -> None:
        """Let the engine run under the mode; `Tensor.backward`, `autograd.backward` and `autograd.grad` all call it."""
        if hasattr(torch.autograd, _ENGINE):
            self._mode_off.patch(torch.autograd, _ENGINE, self._engine)

    def _engine(self, theirs: Any) -> Any:
        return functools.partial(self._mode.run_engine, theirs)

    def _follow_collectives(self) -> None:
        """Be told of what collectives write that no mode sees."""
        c10d = sys.modules.get("torch.distributed.distributed_c10d")
        if c10d is not None:
            self._mode_off.patch(c10d.Work, "wait", self._on_wait)
            self._mode_off.patch(torch.nn.parallel.DistributedDataParallel, "_sync_buffers", self._on_sync)

    def _on_wait(self, theirs: Any) -> Any:
        """`Work.wait`, after which what an asynchronous collective wrote is there."""

        def wait(*args: Any, **kwargs: Any) -> Any:
            try:
                found = theirs(*args, **kwargs)
            except BaseException as error:
                del args, kwargs
                leave(error)
                raise
            if self._mode.is_here():
                self._protected(self._collectives.settle)
            return found

        return wait

    def _on_sync(self, theirs: Any) -> Any:
        """`DistributedDataParallel._sync_buffers`; see NOTE [ Buffers of DistributedDataParallel ]."""

        @functools.wraps(theirs)
        def _sync_buffers(*args: Any, **kwargs: Any) -> Any:
            is_here = self._mode.is_here() and args
            held = self._spared(_BUFFERS, self._collectives.held_by, args[0]) if is_here else None
            try:
                found = theirs(*args, **kwargs)
            except BaseException as error:
                del args, kwargs, held
                leave(error)
                raise
            if held and self._mode.is_here():
                self._spared(_BUFFERS, self._collectives.overwritten, args[0], held, sys._getframe(1))
            return found

        return _sync_buffers

    def _forget(self, tensor: Any) -> None:
        """Hold no weak reference to a tensor any more."""
        if self.samples is not None:
            self._protected(self.samples.forget, tensor)
        self._protected(self._seen.forget, tensor)
        self._protected(self._contents.forget, tensor)

    def _protected(self, action: Callable[..., None], *args: Any) -> None:
        try:
            with torch._C.DisableTorchFunction():  # our reads are no calls of the user's
                action(*args)
        except BaseException as fault:
            self.fault(fault)
            if not isinstance(fault, Exception):
                raise

    def _spared(self, what: str, action: Callable[..., Any], *args: Any) -> Any:
        """Do what can fail without harm to the rest, and give its result; None where it has failed."""
        try:
            with torch._C.DisableTorchFunction():
                return action(*args)
        except Exception as fault:
            self._lose(what, fault)
            return None
        except BaseException as interrupt:
            self.fault(interrupt)
            raise

    def _lose(self, what: str, fault: Exception) -> None:
        """Say once that a fault of ours has cost a part of what is noted besides the calls."""
        if what not in self._lost:
            self._lost.add(what)
            self._raw.notes.append(
                f"{what} could be noted because of a fault of ours {_told(fault)}. The rest was recorded, and your "
                "code was not affected; please report it."
            )

    # ------------------------------------------------------------ what the mode asks of us

    def check(self, function: Function, step: int, tensors: list[torch.Tensor]) -> None:
        refusal = self._saves.refusal(function, step, tensors)
        if refusal is not None:
            self._notes.log.raised[step] = (OverwriteError.__name__, refusal)
            raise OverwriteError(refusal)

    def before(self, known: Known, args: tuple[Any, ...], kwargs: Mapping[str, Any], stack: int) -> None:
        if self.watched or self.external:
            self.look()
        if known.collective:
            self._collectives.begin(known, args, kwargs)
        if known.kind is Kind.BACKWARD:
            self._collectives.settle()
            self._collectives.hold(stack)
            self._accumulated.hold(stack)
            roots = _tensors_of_backward(args, kwargs)
            for root in roots:
                self._seen.reread(root)
            if self.asleep:
                self._contents.look_asleep(len(self._notes.log))
            if self.samples is not None:
                self._spared(_SAMPLES, self.samples.look)
            nodes = [node for root in roots if (node := node_of(root)) is not None]
            self._due.changed(self._contents.changes, sequence())
            if self._due.is_due(stack, nodes, always=self._thorough, first=not self._light):
                self._walk(roots, len(self._notes.log), stack)
            if self._light:
                return
            line = self._lines.setdefault(stack, _BackwardLine())
            times = line.times = line.times + 1
            if times <= (_SINGULAR if line.may_be_singular else _PLAIN) or not times & (times - 1):
                found, line.may_be_singular = singular_nodes(nodes)
                self._gradients.singular(found, stack)

    def after(self, known: Known, tensors: list[torch.Tensor], result: Any) -> None:
        if known.kind is Kind.SETTER and known.label == "data":
            self.written_unseen(None)
        if known.kind is Kind.GETTER and known.label == "grad" and type(result) in PLAIN:
            self._collectives.read(result, self._naming.live_modules)
            self._accumulated.know(result)
        elif known.kind is Kind.SETTER and known.label == "grad" and len(tensors) > 1:
            self._accumulated.know(tensors[1])
        elif known.kind is Kind.BACKWARD:
            self._collectives.reduced()
            self._accumulated.added()
        if known.kind is Kind.EXPORT and tensors:
            self._watch(tensors[0], since=len(self._notes.log))
        if self.external or (self.watched and known.kind is not Kind.TO_PYTHON):
            self.settle()

    def wrote(self, tensors: list[torch.Tensor]) -> None:
        self._collectives.end(tensors)

    def raised(self, known: Known, tensors: list[torch.Tensor], step: int) -> None:
        if known.collective:
            self._collectives.leave()
        if known.kind is Kind.BACKWARD:
            self._accumulated.added()
            if step not in self._walked_steps:
                self._walk(tensors, step, self._notes.log.stack(step))

    def written_unseen(self, storage: StorageId | None) -> None:
        self._due.wrote(storage, sequence())

    def look(self) -> None:
        self._watch_external()
        self._contents.look(len(self._notes.log))

    def settle(self) -> None:
        self._watch_external()  # what the call just noted was the first to see: the very next line may write to it
        self._contents.settle(len(self._notes.log) - 1)

    def look_at(self, tensors: list[torch.Tensor]) -> None:
        self.look_over(self._contents.under(tensors))

    def settle_at(self, tensors: list[torch.Tensor], *, changed: bool) -> None:
        self._contents.settle_over(self._contents.under(tensors), len(self._notes.log) - 1, changed=changed)

    def look_over(self, some: list[Any]) -> None:
        self._contents.look_over(some, len(self._notes.log) - 1)

    def settle_over(self, some: list[Any]) -> None:
        self._contents.settle_over(some, len(self._notes.log) - 1, changed=False)

    def _look_at_the_end(self) -> None:
        if not self._gave_up:
            self._protected(self._collectives.settle)
            self._protected(self._look_once_more)

    def _look_once_more(self) -> None:
        self._contents.look(len(self._notes.log))
        self._contents.look_asleep(len(self._notes.log))
        self._contents.shared.end(self.external)

    def _watch_external(self) -> None:
        while self.external:
            tensor = self._seen.over(self.external.pop())
            if tensor is not None:
                self._watch(tensor)

    def _watch(self, tensor: torch.Tensor, since: int = 0) -> None:
        """Others may write the bytes of a tensor from now on; they have had them from the call `since` on."""
        if self._light:
            return
        last = len(self._notes.log) - 1
        self._contents.watch(tensor, last, self._notes.log.stack(last) if last >= 0 else None, since=since)

    def module_of(self, frame: FrameType) -> int:
        if self._light:
            return -1
        found = self._spared(_NAMES, self._naming.module_at, frame)
        return -1 if found is None else int(found)

    def leave_off(self, why: str) -> None:
        self._mode.active, self._gave_up = False, True
        self._note_stop(f": {why} Your code was not affected.")

    def fault(self, error: BaseException) -> None:
        self._mode.active = False
        if not isinstance(error, Exception):
            self._note_stop(f": {type(error).__name__} came while we noted it. Your code was not affected.")
            return
        self._note_stop(f" because of a fault of ours {_told(error)}. Your code was not affected; please report it.")

    def _note_stop(self, why: str) -> None:
        calls = len(self._notes.log.calls) // WIDTH  # not by a method of ours, which may be what failed
        self._raw.notes.append(f"Recording stopped after call {calls}{why}")

    # ------------------------------------------------------------ graphs

    def _walk(self, roots: list[torch.Tensor], step: int, stack: int | None) -> None:
        """Note the graph below some tensors before the backward at a step, made from `stack`; None at the end."""
        self._walked_steps.add(step)
        nodes = [node for tensor in roots if (node := node_of(tensor)) is not None]
        if not nodes:
            return
        walked: Walked | None = self._spared(_GRAPHS, self._walker.walk, nodes)
        if walked is None:
            return
        self._raw.walks.append((step, stack is not None, walked))
        if not walked.is_complete:
            self._left_out.note(Look.GRAPH, LIMIT, step, stack=stack)

    def _last_walk(self) -> None:
        seen, log = self._seen, self._notes.log
        called = seen.states.tensors_in((log.outputs, log.given[1::GIVEN_WIDTH]))
        live = [t for t in seen.live(called) if t.requires_grad and seen.may_ask(t)]
        self._walk(live, len(log), None)
        if self._continued is not None:
            self._continued.walk_rest(called, len(log))

    def _note_cut_stacks(self) -> None:
        """Note the stacks of which not all frames were kept."""
        made = self._notes.log.calls[STACK::WIDTH]
        for stack, kept in self._stacks.cut.items():
            if stack in made:
                count = made.count(stack)
                self._left_out.note(Look.FRAMES, kept, made.index(stack), stack=stack, count=count)

    def _on_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not self._mode.is_here():
            return
        frame = sys._getframe(1)
        if not self._light:
            if not self._gradients.knows(optimizer):
                self._spared(_NAMES, self._naming.note_optimizer, optimizer, None)
                self._spared(_GRADIENTS, self._gradients.hidden, self._naming.live_modules, optimizer, frame)
            self._spared(_GRADIENTS, self._gradients.stepped, optimizer, frame)
        if not args[1:] and not kwargs:  # a closure is the user's code
            self._protected(self._begin_step, optimizer, frame)

    def _on_clear(self, owner: Any, frame: FrameType) -> None:
        if not self._light and self._mode.is_here():
            self._spared(_GRADIENTS, self._gradients.cleared, owner, frame)

    def _on_build(self, theirs: Any) -> Any:
        """`Optimizer.add_param_group`, which also the constructor calls, told of after it has run."""

        @functools.wraps(theirs)
        def add_param_group(*args: Any, **kwargs: Any) -> Any:
            try:
                found = theirs(*args, **kwargs)
            except BaseException as error:
                del args, kwargs
                leave(error)
                raise
            if not self._light and self._mode.is_here() and args:
                self._spared(_GRADIENTS, self._gradients.built, args[0], sys._getframe(1))
            return found

        return add_param_group

    def switched_off(self, frame: FrameType) -> None:
        self._gradients.switched_off(frame)

    def _begin_step(self, optimizer: torch.optim.Optimizer, frame: FrameType) -> None:
        self.resume()
        looked_at = self.watched or self.external or self.strict  # each call is to be
        if not looked_at and not self._steps.is_left:
            self._steps.begin(optimizer, frame)

    def _after_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if self._mode.is_here():
            self._protected(self._steps.end)
            if len(self._notes.log) >= self._notes.most:
                self._end_window()

    def resume(self) -> None:
        # While modes of the user's hand a call on they are off the stack, and ours has no place in it.
        if self._steps.is_left and not is_handed_on(sys._getframe(1)):
            self._protected(self._restore, None)

    def _restore(self, error: BaseException | None) -> None:
        if self._steps.restore() and not is_in_step(error):
            self._raw.notes.append(LOST)


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


def _told(fault: BaseException) -> str:
    """Where a fault of ours was, and what it says."""
    where = fault.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    line = f"{Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno}" if where is not None else "?"
    return f"at {line} ({type(fault).__name__}: {fault})"


def _tensors_of_backward(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
    first = args[0] if args else kwargs.get("tensors", kwargs.get("outputs"))
    found = iterate(first) if is_a(first, (tuple, list)) else [first]
    return [tensor for tensor in found if is_one_of(tensor, TYPES)]

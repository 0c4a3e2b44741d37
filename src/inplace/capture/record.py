"""Recorder: pushes the mode, collects, freezes, always undoes."""

from __future__ import annotations

import contextlib
import sys
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from inplace.capture.autograd import Walker
from inplace.capture.columns import GIVEN_WIDTH, WIDTH
from inplace.capture.contents import Contents
from inplace.capture.freeze import Raw, freeze
from inplace.capture.hooks import Hooks, Known
from inplace.capture.identity import PLAIN, Identities
from inplace.capture.modes import CallMode
from inplace.capture.names import borrow_locals, scan
from inplace.capture.reading import node_of
from inplace.capture.source import Stacks
from inplace.capture.steps import LOST, OptimizerSteps, is_in_step
from inplace.capture.strict import Saves
from inplace.capture.tracebacks import strip
from inplace.errors import OverwriteError, RecordingError
from inplace.model import BEFORE, Function, Kind, StateId, Trace

if TYPE_CHECKING:
    from typing_extensions import Self

_ENGINE = "_engine_run_backward"
_WALKS = 1  # graph walks made before the backward of one line; afterwards those that raise are walked all the same
_WALKS_IF_UNSEEN = 16  # the same where something that no counter sees may have written


def _no_label(_file: str) -> str | None:
    return None


class Recorder(Hooks):
    """Records the calls of the code that runs between `start` and `stop` in this thread.

    Args:
        title: what people are shown as the name of the recording (`In[3]`, `train.py`).
        is_cell: tells from a code object's file name whether it is the code that was asked to be recorded.
        namespace: where the user's variables are; None to leave names to the source text.
        label: the name to show for a file, None for its last part.
        strict: whether a write that would destroy a save is stopped with an OverwriteError.
        thorough: whether to look at the graph before every backward, and not before the first of each line only.

    Raises:
        RecordingError: by `start`, where another recording is going on; by `trace`, before the end.
    """

    _current: Recorder | None = None

    def __init__(
        self,
        *,
        title: str,
        is_cell: Callable[[str], bool],
        namespace: Mapping[str, object] | None = None,
        label: Callable[[str], str | None] = _no_label,
        strict: bool = False,
        thorough: bool = False,
    ) -> None:
        self._title, self._namespace, self._label = title, namespace, label
        self._identities = Identities()
        self._stacks = Stacks(is_cell)
        self._walker = Walker(self._identities)
        self._contents = Contents(self._identities, self._stacks)
        self._mode = CallMode(self._identities, self._stacks, self)
        self._raw = Raw()
        self._raw.contents = self._contents
        self.watched, self.external = self._contents.watched, self._identities.storages.external
        self.strict, self._thorough = strict, thorough
        self._saves = Saves(self._identities, self._mode.log, lambda stack: self._stacks.place(stack, label))
        self._modules: dict[int, int] = {}
        self._module_refs: list[Any] = []
        self._optimizers: dict[int, int] = {}
        self._steps = OptimizerSteps(self._mode, self._identities, self._stacks)
        self._unseen = False  # whether there was a `.data`, a numpy array or the like
        self._walked: dict[int, int] = {}
        self._walked_steps: set[int] = set()
        self._undo = contextlib.ExitStack()
        self._trace: Trace | None = None

    # ------------------------------------------------------------ beginning and end

    def start(self) -> None:
        """Begin to record."""
        if Recorder._current is not None:
            raise RecordingError("a recording is going on already: end it before you begin another")
        Recorder._current = self
        self._undo.callback(self._forget_current)
        try:
            self._protected(self._note_names, BEFORE)
            for register, hook in (
                (register_optimizer_step_pre_hook, self._on_step),
                (register_optimizer_step_post_hook, self._after_step),
            ):
                self._undo.callback(register(hook).remove)
            self._see_inside_backward()
            self._undo.enter_context(self._mode)
        except BaseException:
            self._undo.close()
            raise

    def stop(self, error: BaseException | None = None) -> Trace:
        """End the recording and give its trace; `error` is the exception that ended the user's code, if one did."""
        try:
            self._mode.active = False
            self._protected(self._restore, error)
            self._protected(self._contents.look, len(self._mode.log))
            self._contents.stop()
        finally:
            self._undo.close()
        self._identities.step = len(self._mode.log)
        self._identities.detail = True
        self._protected(self._note_names, len(self._mode.log))
        if error is not None:
            self._protected(self._note_error, error)
        self._protected(self._last_walk)
        try:
            self._trace = freeze(self._raw, self._mode, self._identities, self._stacks, self._label, self._title)
        finally:
            self._identities.storages.close()
        return self._trace

    @property
    def trace(self) -> Trace:
        """The trace; there is none before `stop`."""
        if self._trace is None:
            raise RecordingError("this recording has not ended yet: read its trace after the with block")
        return self._trace

    def __enter__(self) -> Self:
        self.start()
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
        strip(error)

    def _see_inside_backward(self) -> None:
        """Let the engine run under the mode; `Tensor.backward`, `autograd.backward` and `autograd.grad` all call it."""
        engine = getattr(torch.autograd, _ENGINE, None)
        if engine is None:
            return
        self._undo.callback(setattr, torch.autograd, _ENGINE, engine)
        setattr(torch.autograd, _ENGINE, partial(self._mode.run_engine, engine))

    def _forget_current(self) -> None:
        Recorder._current = None

    def _protected(self, action: Callable[..., None], *args: Any) -> None:
        try:
            action(*args)
        except Exception as fault:
            self.fault(fault)

    # ------------------------------------------------------------ what the mode asks of us

    def check(self, function: Function, step: int, tensors: list[torch.Tensor]) -> None:
        refusal = self._saves.refusal(function, step, tensors)
        if refusal is not None:
            self._mode.log.raised[step] = (OverwriteError.__name__, refusal)
            raise OverwriteError(refusal)

    def before(self, known: Known, args: tuple[Any, ...], kwargs: Mapping[str, Any], stack: int) -> None:
        if self.watched or self.external:
            self.look()
        if known.kind is Kind.BACKWARD:
            self._walked[stack] = self._walked.get(stack, 0) + 1
            most = _WALKS_IF_UNSEEN if self._unseen else _WALKS
            if self._thorough or self._walked[stack] <= most:
                self._walk(_roots(args, kwargs), len(self._mode.log), is_backward=True)

    def after(self, known: Known, tensors: list[torch.Tensor], result: Any) -> None:
        if known.kind is not Kind.BACKWARD and known.label != "grad":
            self._unseen = True
        if known.kind is Kind.EXPORT and tensors:
            self._contents.watch(tensors[0])
        if self.watched or self.external:
            self.settle()

    def raised(self, known: Known, tensors: list[torch.Tensor], step: int) -> None:
        if known.kind is Kind.BACKWARD and step not in self._walked_steps:
            self._walk(tensors, step, is_backward=True)

    def look(self) -> None:
        while self.external:
            tensor = self._identities.over(self.external.pop())
            self._unseen = True
            if tensor is not None:
                self._contents.watch(tensor)
        self._contents.look(len(self._mode.log))

    def settle(self) -> None:
        self._contents.settle()

    def module_of(self, frame: FrameType) -> int:
        # `_call_impl` keeps its arguments to the end anyway, so the dict that `f_locals` makes lengthens no life.
        module = frame.f_locals.get("self")
        if module is None:
            return -1
        return self._module_id(module, type(module).__name__)

    def fault(self, error: Exception) -> None:
        self._mode.active = False
        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        line = f"{Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno}" if where is not None else "?"
        self._raw.notes.append(
            f"Recording stopped after call {len(self._mode.log.calls) // WIDTH} because of a fault of ours at {line} "
            f"({type(error).__name__}: {error}). Your code was not affected; please report it."
        )

    # ------------------------------------------------------------ graphs

    def _walk(self, roots: list[torch.Tensor], step: int, *, is_backward: bool) -> None:
        self._walked_steps.add(step)
        nodes = [node for tensor in roots if (node := node_of(tensor)) is not None]
        if not nodes:
            return
        found, complete = self._walker.walk(nodes)
        self._raw.walks.append((step, is_backward, [self._walker.id_of(n) for n in nodes], found, complete))

    def _last_walk(self) -> None:
        identities, log = self._identities, self._mode.log
        called = {identities.states.tensor(StateId(state)) for state in {*log.outputs, *log.given[1::GIVEN_WIDTH]}}
        live = [t for t in identities.live(called) if t.requires_grad and identities.may_ask(t)]
        self._walk(live, len(self._mode.log), is_backward=False)

    def _on_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not self._mode.active:
            return
        with torch._C.DisableTorchFunction():
            if id(optimizer) not in self._optimizers:
                self._protected(self._note_optimizer, optimizer, None)
            if not args[1:] and not kwargs:  # a closure is the user's code
                self._protected(self._begin_step, optimizer, sys._getframe(1))

    def _begin_step(self, optimizer: torch.optim.Optimizer, frame: FrameType) -> None:
        if not self.watched and not self.external and not self.strict:  # else each call is to be looked at
            self._steps.begin(optimizer, frame)

    def _after_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        with torch._C.DisableTorchFunction():
            self._protected(self._steps.end)

    def resume(self) -> None:
        with torch._C.DisableTorchFunction():
            self._protected(self._restore, None)

    def _restore(self, error: BaseException | None) -> None:
        if self._steps.restore() and not is_in_step(error):
            self._raw.notes.append(LOST)

    def _note_optimizer(self, optimizer: torch.optim.Optimizer, name: str | None) -> None:
        params = tuple(
            self._identities.id_of(param)
            for group in optimizer.param_groups
            for param in group["params"]
            if type(param) in PLAIN
        )
        position = self._optimizers.get(id(optimizer))
        if position is None:
            self._optimizers[id(optimizer)] = len(self._raw.optimizers)
            self._raw.optimizers.append((name, type(optimizer).__name__, params))
        elif name is not None and self._raw.optimizers[position][0] is None:
            self._raw.optimizers[position] = (name, *self._raw.optimizers[position][1:])

    # ------------------------------------------------------------ names

    def _note_names(self, step: int) -> None:
        if self._namespace is not None:
            self._take_names(self._namespace, step)

    def _take_names(self, namespace: Mapping[str, object], step: int) -> None:
        for path, value in scan(namespace):
            if isinstance(value, torch.nn.Module):
                self._module_id(value, path)
            elif isinstance(value, torch.optim.Optimizer):
                self._note_optimizer(value, path)
            else:
                self._raw.names.append((path, self._identities.id_of(value), step))

    def _module_id(self, module: torch.nn.Module, name: str) -> int:
        found = self._modules.get(id(module))
        if found is not None and self._module_refs[found]() is module:
            if self._raw.modules[found] == type(module).__name__:
                self._raw.modules[found] = name
            return found
        self._modules[id(module)] = len(self._raw.modules)
        self._raw.modules.append(name)
        self._module_refs.append(weakref.ref(module))
        return len(self._raw.modules) - 1

    def _note_error(self, error: BaseException) -> None:
        stack = self._stacks.key_of_traceback(error.__traceback__)
        self._raw.failure = (type(error).__name__, str(error), stack)
        step = len(self._mode.log)
        traceback = error.__traceback__
        while traceback is not None:
            frame = traceback.tb_frame
            if self._stacks.is_user(frame.f_code) and frame.f_locals is not frame.f_globals:
                borrow_locals(frame, lambda found: self._take_names(found, step))
            traceback = traceback.tb_next


def _roots(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
    first = args[0] if args else kwargs.get("tensors", kwargs.get("outputs"))
    found = first if isinstance(first, tuple | list) else [first]
    return [tensor for tensor in found if type(tensor) in PLAIN]

"""The step of one of PyTorch's own optimizers, recorded as one call.

A step of Adam makes a dozen calls for each parameter, none of which is on a line of the user's. What matters of them is
that the line `optimizer.step()` wrote the parameters; so we read those before and after, and pass what is between:
the mode is off the stack meanwhile, so that a step costs what it costs without us. A step with a closure or with hooks,
or of a class of the user's, runs the user's own code, and is recorded call by call.

NOTE [ A step that raises ]
PyTorch calls no hook then, so the mode stays off until something else calls us: a backward, another step, the end of
the recording. The calls between are lost, and a note says so.
"""

from __future__ import annotations

from types import FrameType

import torch
from torch.overrides import TorchFunctionMode

from inplace.capture.calls.call_notes import CallNotes, argument_row
from inplace.capture.code.optimizers import is_of_torch, params_of
from inplace.capture.code.stacks import Stacks
from inplace.capture.patches.mode_stack import Standing, height, modes_below, put_on, take_off
from inplace.capture.tables.call_log import GIVEN, GIVEN_WIDTH, SEQ1, WIDTH
from inplace.capture.tables.refs import TensorRef
from inplace.capture.tables.tensors import PLAIN
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.facts.model import Function, Kind

_HOOKED = torch.optim.Optimizer.profile_hook_step(lambda: None).__code__  # type: ignore[arg-type]  # of every step
SHOWN = 8  # steps of one line after which the values of small parameters are read
_LEFT = ("an exception", "it left the optimizer's step before its end")
LOST = (
    "An exception left an optimizer's step. The calls after it were not recorded, up to the next backward or step; "
    "they ran as ever."
)


class OptimizerSteps:
    """Records steps as wholes.

    Args:
        mode: ours, which is off while a step runs.
        notes: where the calls are noted.
        seen: where tensors get their ids.
        stacks: where the user's stacks get theirs.
        shown: steps of one line after which the values of small parameters are read.
    """

    def __init__(
        self, mode: TorchFunctionMode, notes: CallNotes, seen: TensorsSeen, stacks: Stacks, *, shown: int = SHOWN
    ) -> None:
        self._most_shown = shown
        self._mode, self._notes, self._seen, self._stacks = mode, notes, seen, stacks
        self._step = -1
        self._below = 0  # modes that stood below ours when it was taken off
        self._shown = True
        self._times: dict[int, int] = {}  # steps made from each stack
        self._refs: list[TensorRef] = []
        self._paths: list[int] = []
        self._functions: dict[type, int] = {}

    def begin(self, optimizer: torch.optim.Optimizer, frame: FrameType) -> None:
        """A step begins in `frame`."""
        if not _is_its_own(optimizer):
            return
        params = params_of(optimizer)
        if PLAIN.issuperset(map(type, params)) and modes_below(self._mode) == height() - 1:
            self._below = height() - 1
            self._note(optimizer, params, frame)
            take_off(self._mode)

    @property
    def is_left(self) -> bool:
        """Whether a step has begun that has not ended."""
        return self._step >= 0

    def restore(self) -> bool:
        """Take up again what a step that raised has left; whether there was one."""
        if self._step < 0:
            return False
        self._notes.log.raised[self._step] = _LEFT
        self.end()
        return True

    def _note(self, optimizer: torch.optim.Optimizer, params: list[torch.Tensor], frame: FrameType) -> None:
        notes, seen, log = self._notes, self._seen, self._notes.log
        stack, _ = self._stacks.key_of(frame)
        seen.bury()
        self._step = seen.step = len(log)
        times = self._times[stack] = self._times.get(stack, 0) + 1
        self._shown = times <= self._most_shown
        seen.detail = self._shown
        function = self._functions.get(type(optimizer))
        if function is None:
            function = self._functions[type(optimizer)] = notes.function_id(_described(type(optimizer)))
        sequence = torch._C._autograd._get_sequence_nr() - log.origin
        log.calls.extend((function, stack, 1, -1, sequence, sequence, len(log.given), 0, 0))
        while len(self._paths) < len(params):
            self._paths.append(log.path(f"params[{len(self._paths)}]"))
        if seen.compiled is not None:
            seen.compiled.take_all(params, self._paths, self._refs)
            return
        refs, noted = seen.refs, b""
        for path, param in zip(self._paths, params, strict=False):
            state = seen.see(param)
            noted += argument_row(path, state, state)
            self._refs.append(refs[id(param)])
        log.given.frombytes(noted)

    def end(self) -> None:
        """A step has ended: note what it left behind."""
        if self._step < 0:
            return
        if modes_below(self._mode) is None:  # an interrupt has come before it was off
            put_on(self._mode, Standing(self._below))
        seen, log = self._seen, self._notes.log
        seen.bury()
        seen.step = max(seen.step, self._step)
        seen.detail = self._shown
        start = self._step * WIDTH
        log.calls[start + SEQ1] = torch._C._autograd._get_sequence_nr() - log.origin
        at = log.calls[start + GIVEN] + 2
        if seen.compiled is not None:
            seen.compiled.leave_all(self._refs, at)
        else:
            for ref in self._refs:
                param = ref()
                if param is not None:
                    log.given[at] = seen.stepped(param, ref)
                at += GIVEN_WIDTH
        self._step = -1
        self._refs.clear()


def _is_its_own(optimizer: torch.optim.Optimizer) -> bool:
    """Whether a step of this optimizer runs PyTorch's code only, if its parameters are plain tensors."""
    return (
        is_of_torch(optimizer)
        and not optimizer.defaults.get("differentiable")
        and not optimizer._optimizer_step_pre_hooks
        and not optimizer._optimizer_step_post_hooks
    )


def _described(kind: type) -> Function:
    name = f"{kind.__module__.rpartition('.')[0]}.{kind.__name__}.step"
    return Function(name, f"{kind.__name__}.step", Kind.OP, ())


def is_in_step(error: BaseException | None) -> bool:
    """Whether an exception came out of an optimizer's step."""
    entry = error.__traceback__ if error is not None else None
    while entry is not None:
        if entry.tb_frame.f_code is _HOOKED:
            return True
        entry = entry.tb_next
    return False

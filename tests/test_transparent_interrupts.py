"""An interrupt arrives at the user's code whenever it comes, and leaves nothing of ours behind."""

from __future__ import annotations

import gc
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
import torch._dynamo
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks
from torch.utils._python_dispatch import TorchDispatchMode

import inplace
from inplace.capture.calls import mode
from inplace.capture.record import Recorder
from inplace.fixes.diagnose import analyze
from tests.both_ways import alone, plain, recorded
from tests.some import some

OURS = str(Path(inplace.__file__).parent)
# Between these and the block, Python has no place where anybody could catch an interrupt (bpo-29988).
OUTSIDE = {("__enter__", "return"), ("__exit__", "call")}

Point = tuple[str, str, int]


class Interrupting(TorchDispatchMode):
    """Interrupts at one operation of those that run under it, counted from 1."""

    def __init__(self, number: int, how: Callable[[], None]) -> None:
        super().__init__()
        self.left, self.how = number, how

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.left -= 1
        if self.left == 0:
            self.how()
        return func(*args, **(kwargs or {}))


def _raise() -> None:
    raise KeyboardInterrupt("from an operation")


def _signal() -> None:
    signal.raise_signal(signal.SIGINT)


def step(state: dict[str, Any]) -> None:
    """A bit of everything: calls, views, in-place, numpy, hooks, backward, a refusal, a step."""
    torch.manual_seed(0)
    net = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(net.parameters())
    state["parameters"] = list(net.parameters())
    out = state["out"] = net(torch.ones(4, 3)).relu_()
    out.register_hook(lambda grad: grad * 2)
    base = state["base"] = torch.zeros(6)
    base.view(2, 3)[0].add_(1)
    array = base.numpy()
    array[1] = 5
    try:
        net.weight.add_(1)
    except RuntimeError as error:
        state["refused"] = str(error)
    state["loss"] = out.sum()
    state["loss"].backward()
    state["grad"] = net.weight.grad
    optimizer.step()
    state["end"] = base.sum().item()


def _interrupted(number: int, how: Callable[[], None]) -> Callable[[], Any]:
    def program() -> Any:
        state: dict[str, Any] = {}
        mode = Interrupting(number, how)
        try:
            with mode:
                step(state)
        except KeyboardInterrupt as interrupt:
            state["interrupt"] = interrupt
        state["left"] = mode.left
        state["after"] = torch.ones(2).add_(1)
        return plain(state)

    return program


@pytest.mark.parametrize("how", [_raise, _signal], ids=["an exception", "a signal"])
def test_an_interrupt_in_any_operation(how: Callable[[], None]) -> None:
    """Whichever operation it comes in, the program finds itself in the same state, and goes on in the same way."""
    step({})  # what PyTorch does only once is over then
    before, number = traces_of_us(), 0
    while True:
        number += 1
        expected = alone(_interrupted(number, how))
        told, trace = recorded(_interrupted(number, how))

        assert told == expected
        assert traces_of_us() == before
        assert [note.text for note in trace.notes] in ([], [_LEFT])
        if expected.value["left"] > 0:
            break
    assert number > 40


_LEFT = (
    "An exception left an optimizer's step. The calls after it were not recorded, up to the next backward or step; "
    "they ran as ever."
)


# ---------------------------------------------------------------- within our own code


def traces_of_us() -> list[Any]:
    """What a recording changes in Python and PyTorch while it goes on."""
    return [
        Recorder._current,
        torch.overrides._get_current_function_mode_stack(),
        torch.autograd._engine_run_backward,
        torch.overrides.has_torch_function,
        torch.overrides._pop_mode,
        torch.overrides._pop_mode_temporarily,
        torch.compile,
        torch._dynamo.eval_frame._maybe_set_eval_frame,
        dict(_global_optimizer_pre_hooks),
        dict(_global_optimizer_post_hooks),
        warnings._showwarnmsg,  # type: ignore[attr-defined]
        mode.__name__,
        gc.isenabled(),
        torch.is_grad_enabled(),
        torch._C._is_torch_function_enabled(),
    ]


class Tracer:
    """Counts the points of our code where Python looks for signals, and interrupts at one of them.

    These are where a function begins, and where a call has returned (`RESUME` and `CALL`); beside the ends of loops.
    """

    def __init__(self, point: Point | None = None, number: int = 0) -> None:
        self.point, self.number = point, number
        self.counts: Counter[Point] = Counter()
        self.has_fired = False

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """A function for `sys.setprofile`."""
        code = frame.f_code
        if not code.co_filename.startswith(OURS) or event == "c_call":
            return
        point = (code.co_filename.removeprefix(OURS), code.co_name, frame.f_lineno)
        if point[0] == "/shells/recording.py" and (code.co_name, event) in OUTSIDE:
            return
        self.counts[point] += 1
        if point == self.point and self.counts[point] == self.number:
            self.has_fired = True
            raise KeyboardInterrupt("in our code")


def _traced(tracer: Tracer) -> tuple[BaseException | None, dict[str, Any], inplace.Recording]:
    state: dict[str, Any] = {}
    recording = inplace.record()
    error = None
    kept = sys.getprofile()
    sys.setprofile(tracer)
    try:
        with recording:
            step(state)
    except BaseException as raised:
        error = raised
    finally:
        sys.setprofile(kept)
    return error, state, recording


def test_an_interrupt_anywhere_in_our_code() -> None:
    """It arrives, everything is undone, what there is of a recording can be read, and the next recording works."""
    _traced(Tracer())  # what is learnt once in a process has its own lines
    before, tracer, wrong = traces_of_us(), Tracer(), []
    _, expected, _ = _traced(tracer)
    assert len(tracer.counts) > 300
    missed = 0  # whether the memory of one tensor is given to another decides if some points are reached

    for number, (point, count) in some(enumerate(tracer.counts.items()), 5):
        chosen = 1 if number % 2 else count
        tracer = Tracer(point, chosen)
        wrong += [f"{point} {chosen}: {fault}" for fault in _faults(tracer, before, expected["end"])]
        missed += not tracer.has_fired

    assert wrong == []
    assert missed <= 5


def _faults(tracer: Tracer, before: list[Any], end: float) -> list[str]:
    error, state, recording = _traced(tracer)
    found = []
    if tracer.has_fired and not isinstance(error, KeyboardInterrupt):
        found.append(f"the interrupt became {error!r}")
    if traces_of_us() != before:
        found.append("something was left behind")
        for recorder in filter(None, [Recorder._current]):
            recorder.undo()
    if state.get("end", end) != end:
        found.append("the program did something else")
    try:
        if recording._trace is not None:  # there is none where freezing it was interrupted
            analyze(recording.trace)
    except Exception as fault:
        found.append(f"the recording can't be analysed: {fault!r}")
    return found

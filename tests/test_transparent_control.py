"""Recording changes nothing of how control flows: errors, tracebacks, steps that fail."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tests.both_ways import Doubling, alone, caught, changed_by_recording, recorded


def _leaf() -> torch.Tensor:
    return torch.linspace(0.1, 1.0, 4).requires_grad_()


# ---------------------------------------------------------------- errors


class Layer(nn.Module):
    """Refuses what is too wide, and says why."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn a refusal of PyTorch's into one of ours."""
        try:
            return x.view(7)
        except RuntimeError as error:
            raise ValueError("too wide") from error


def error_through_frames() -> Any:
    """An error in a module in a module, with a cause."""
    nn.Sequential(nn.Identity(), Layer())(_leaf())


def error_while_handling() -> Any:
    """An error while another is handled, its context hidden, and one raised again."""
    found = [caught(_fail_twice, False), caught(_fail_twice, True)]
    try:
        raise found[0]
    except RuntimeError as again:
        return [*found, again]


def _fail_twice(hidden: bool) -> None:  # noqa: FBT001  # given by a list
    try:
        _leaf().add_(1)
    except RuntimeError:
        if hidden:
            raise KeyError("other") from None
        torch.ones(2) @ torch.ones(3)


def error_in_a_hook() -> Any:
    """Errors in a hook, in a custom backward and in a checkpointed function reach the user through the engine."""
    return [caught(spoil(_leaf()).sum().backward) for spoil in (_spoil_by_hook, _spoil_by_function)]


def _refuse(grad: torch.Tensor) -> torch.Tensor:
    raise ValueError("no such gradient")


def _spoil_by_hook(x: torch.Tensor) -> torch.Tensor:
    y = x * 2
    y.register_hook(_refuse)
    return y.sin()


class Spoilt(torch.autograd.Function):
    """A custom function whose backward makes a mistake."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """Twice the input."""
        return x * 2

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        """Of another shape."""
        return grads[0].view(7)


def _spoil_by_function(x: torch.Tensor) -> torch.Tensor:
    out: torch.Tensor = Spoilt.apply(x)
    return out


def error_group() -> Any:
    """Several errors in one, some of them caught by their type."""
    found: list[Exception] = []
    for size in (5, 6):
        error = caught(torch.ones(4).view, size)
        error.add_note(f"size {size}")
        found.append(error)
    group = caught(_raise, ExceptionGroup("both", found))  # noqa: F821  # of Python 3.11
    return group, group.subgroup(RuntimeError)


def _raise(error: BaseException) -> None:
    raise error


def error_before_a_call() -> Any:
    """Wrong arguments, unknown attributes, questions that can't be answered, an assertion about a tensor."""
    x = torch.ones(2, 3)
    attempts: list[Callable[[], Any]] = [
        lambda: x.size(5),
        lambda: x.frobnicate,
        lambda: torch.add(x),
        lambda: x[4],
        lambda: bool(x),
        lambda: torch.ones(2, bogus=1),
        lambda: x.stride(9),
        lambda: len(torch.tensor(1)),
        lambda: setattr(x, "grad", 3),
        lambda: x.requires_grad_("yes"),
    ]
    found = [caught(attempt) for attempt in attempts]
    assert all(isinstance(error, Exception) for error in found)
    return found


def stopped_iteration() -> Any:
    """`StopIteration`, `GeneratorExit` and `SystemExit` out of a hook that a call runs."""
    found = []
    for kind in (StopIteration, GeneratorExit, SystemExit):
        y = _leaf() * 2
        y.register_hook(_raiser(kind))
        found.append(caught(y.sum().backward))
    return found


def _raiser(kind: type[BaseException]) -> Callable[[torch.Tensor], torch.Tensor]:
    def hook(grad: torch.Tensor) -> torch.Tensor:
        raise kind("from a hook")

    return hook


def failed_step() -> Any:
    """An optimizer's step that raises, and modes of the user's around what comes after."""
    weight = _leaf()
    optimizer = torch.optim.SGD([weight], lr=0.1)
    weight.sum().backward()
    optimizer.param_groups[0]["lr"] = "high"
    found: list[Any] = []
    try:
        optimizer.step()
    except TypeError as error:
        found.append(error)
    torch.set_default_device("cpu")
    with Doubling():
        (weight * 1).sum().backward()
        found.append(torch.overrides._get_current_function_mode_stack()[-1].__class__.__name__)
    optimizer.param_groups[0]["lr"] = 0.1
    optimizer.step()
    torch.set_default_device(None)
    return found, weight, torch.ones(1) + 1


def failed_step_in_backward() -> Any:
    """A step in a hook that raises, within a mode of the user's."""
    weight = _leaf()
    optimizer = torch.optim.SGD([weight], lr=0.1)
    optimizer.param_groups[0]["lr"] = "high"
    weight.register_post_accumulate_grad_hook(lambda _: optimizer.step())
    found: list[Any] = []
    with Doubling():
        try:
            (weight * 1).sum().backward()
        except TypeError as error:
            found.append(str(error))
        found.append(torch.ones(1) + 1)
    return found, torch.ones(1) + 1


def formatted_in_place() -> Any:
    """A traceback that the code formats itself: no frame of ours is in it."""
    attempts = [lambda: torch.ones(3).view(7), lambda: torch.mm(torch.ones(2, 3), torch.ones(2, 3)), _wrong_net]
    return [_formatted(attempt) for attempt in attempts]


def _formatted(attempt: Callable[[], Any]) -> str:
    try:
        attempt()
    except RuntimeError:
        return traceback.format_exc()
    return ""


def _wrong_net() -> None:
    nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 3))(torch.ones(1, 2))


def formatted_backward() -> Any:
    """A traceback through functions that PyTorch has written in Python."""
    h = torch.exp(_leaf())
    h.add_(1)
    return _formatted(h.sum().backward)


PROGRAMS = [
    error_before_a_call,
    error_in_a_hook,
    error_through_frames,
    error_while_handling,
    formatted_in_place,
    stopped_iteration,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_control_flows_the_same(program: Callable[[], Any]) -> None:
    """Values, errors with their frames, prints, warnings with their lines, and modes are those without a recording."""
    assert changed_by_recording(program) == []


@pytest.mark.skipif(sys.version_info < (3, 11), reason="there are no groups and notes")
def test_groups_are_the_same() -> None:
    """Exceptions of a group have their own tracebacks and notes, whether it is caught or ends the program."""
    assert changed_by_recording(error_group) == []

    def uncaught() -> Any:
        _raise(error_group()[0])

    assert changed_by_recording(uncaught) == []


@pytest.mark.parametrize("program", [failed_step, failed_step_in_backward], ids=lambda program: program.__name__)
def test_a_failed_step_leaves_the_modes_alone(program: Callable[[], Any]) -> None:
    """While our mode is off for a step that has raised, the user's come and go as ever; we say what we missed."""
    told, trace = recorded(program)

    assert told == alone(program)
    assert [note.text.partition(".")[0] for note in trace.notes] == ["An exception left an optimizer's step"]


def test_another_thread_s_step_is_its_own() -> None:
    """A step that ends in another thread is not taken for the one that was left in this: what follows is recorded."""

    def program() -> Any:
        failed = caught(_one_step, "high")
        thread = threading.Thread(target=_one_step)
        thread.start()
        thread.join()
        return failed, _one_step(), torch.ones(1).mul_(3)

    told, trace = recorded(program)

    assert told == alone(program)
    assert [call.function.label for call in trace.calls][-2:] == ["ones", "mul_"]


def _one_step(rate: Any = 0.1) -> torch.Tensor:
    weight = _leaf()
    optimizer = torch.optim.SGD([weight], lr=0.1)
    optimizer.param_groups[0]["lr"] = rate
    weight.sum().backward()
    optimizer.step()
    return weight


@pytest.mark.xfail(reason="the frame in which PyTorch's Python calls handle_torch_function is made before we are asked")
def test_a_formatted_traceback_is_the_users() -> None:
    """A function that PyTorch has written in Python would be listed once in a traceback the code formats itself."""
    assert changed_by_recording(formatted_backward) == []


def test_a_formatted_traceback_has_no_frame_of_ours() -> None:
    """But ours is not there."""
    told, _ = recorded(formatted_backward)

    assert "in backward" in told.value
    assert "inplace" not in told.value.replace("inplace operation", "").replace("main/tests", "")
    assert "in handle_torch_function" not in told.value


def test_differences_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail: our frame, where we leave it in, is found."""
    monkeypatch.setattr("inplace.capture.calls.mode.leave", lambda error: None)
    assert any("frames" in found for found in changed_by_recording(error_while_handling))

"""Recording changes no warning: not whether it is shown, nor how often, nor the line it is credited to."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  # as everybody calls it
from torch import nn

import inplace
from inplace.capture.calls import mode
from tests.both_ways import changed_by_recording, plain


def warned_once_a_line() -> Any:
    """A line that warns again and again is shown once; another line with the same warning is shown too."""
    net = nn.Linear(3, 3)
    inner = net(torch.ones(3)) * 2
    for _ in range(3):
        assert inner.grad is None
        assert torch.ones(2, 3, 4).T is not None
    assert torch.ones(2, 3, 4).T is not None
    return inner


def warned_by_python() -> Any:
    """Warnings of functions that PyTorch has written in Python, credited to their callers at several distances."""
    for _ in range(2):
        F.softmax(torch.ones(3))
        nn.Softmax()(torch.ones(3))
        F.mse_loss(torch.ones(2, 1), torch.ones(2))
        F.upsample(torch.ones(1, 1, 2, 2), scale_factor=2)
        _warn_for_caller()
    return torch.ones(1)


def _warn_for_caller() -> None:
    warnings.warn("from a helper", FutureWarning, stacklevel=2)


class Warning3(torch.Tensor):
    """A subclass that warns its callers."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for level in (1, 2, 3):
            warnings.warn(f"level {level}", stacklevel=level)
        return super().__torch_function__(func, types, args, kwargs or {})


def warned_by_the_user() -> Any:
    """Warnings of the user's own code within PyTorch: in hooks, in a subclass; and those made into errors."""
    y = torch.ones(4, requires_grad=True) * 2
    y.register_hook(lambda grad: warnings.warn("in a hook", stacklevel=1))
    y.sum().backward()
    found: list[Any] = [torch.rand(3).as_subclass(Warning3) + 1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            torch.ones(2, 3, 4).T.add_(1)
        except UserWarning as error:
            found.append(error)
    return plain([found[0].as_subclass(torch.Tensor), *found[1:]])


@pytest.mark.parametrize("action", ["default", "always", "once", "module", "ignore", "error"])
def test_filters_decide_as_ever(action: str) -> None:
    """Under every action of a filter, for this module and for others, the same warnings are shown."""

    def program() -> Any:
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
        warnings.filterwarnings(action, module=__name__.replace(".", r"\."))  # type: ignore[arg-type]
        for _ in range(2):
            assert torch.ones(2, 3, 4).T is not None
            F.softmax(torch.ones(3))
        assert torch.ones(2, 3, 4).T is not None

    assert changed_by_recording(program, inplace.record()) == []


def warned_in_threads() -> Any:
    """Warnings of another thread are its own."""
    thread = threading.Thread(target=lambda: torch.ones(2, 3, 4).T)
    thread.start()
    thread.join()
    return torch.ones(1) + 1


PROGRAMS = [warned_by_python, warned_by_the_user, warned_in_threads, warned_once_a_line]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_warnings_are_the_same(program: Callable[[], Any]) -> None:
    """The same warnings in the same order, with file and line."""
    assert changed_by_recording(program) == []


def test_differences_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail: without our part in it, warnings are credited to our line and swallowed."""
    monkeypatch.setattr("inplace.capture.patches.warned.Warned.start", lambda self: None)

    assert any("warned" in found for found in changed_by_recording(warned_once_a_line))


def test_python_is_left_as_it_was() -> None:
    """What shows warnings is Python's own again, and our module has its name."""
    show = warnings._showwarnmsg  # type: ignore[attr-defined]

    with inplace.record():
        torch.ones(1)

    assert warnings._showwarnmsg is show  # type: ignore[attr-defined]
    assert mode.__name__ == "inplace.capture.calls.mode"

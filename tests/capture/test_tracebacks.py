"""Errors look as they do without us: no frame of ours, in them or in those they came from."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

import pytest
import torch

from inplace.capture.record import Recorder


def frames(traceback: TracebackType | None) -> list[str]:
    """The functions that an error went through."""
    found = []
    while traceback is not None:
        found.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    return found


def failing() -> None:
    """A backward, which is written in Python and hands itself to our mode, that raises."""
    h = torch.ones(2, requires_grad=True).exp()
    h.add_(1)
    h.sum().backward()


def in_context() -> None:
    """Another error while the first is handled."""
    try:
        failing()
    except RuntimeError:
        raise ValueError("oh")  # noqa: B904


def as_cause() -> None:
    """Another error because of the first."""
    try:
        failing()
    except RuntimeError as error:
        raise ValueError("oh") from error


def caught(run: Callable[[], None], *, recorded: bool) -> list[list[str]]:
    """The functions of an error, of its cause and of its context."""
    try:
        if recorded:
            with Recorder(title="test", is_cell=lambda name: name == __file__):
                run()
        else:
            run()
    except (ValueError, RuntimeError) as error:
        chain = [error, error.__cause__, error.__context__]
        return [frames(one.__traceback__) for one in chain if one is not None]
    return []


@pytest.mark.parametrize("run", [failing, in_context, as_cause])
def test_an_error_and_what_it_came_from_are_as_they_were(run: Callable[[], None]) -> None:
    """Each goes through the same functions as in a run without us."""
    assert caught(run, recorded=True) == caught(run, recorded=False)

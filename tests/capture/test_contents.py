"""Bytes that others can write: which of them changed, and on which line; what recorded calls write is theirs."""

from __future__ import annotations

import pytest
import torch

from tests.recording import record_text

BEGIN = "y = torch.ones(3) * 1\narray = y.numpy()\n"


def changes(text: str) -> list[tuple[int, int, int]]:
    """The line of each change, and its bytes."""
    trace = record_text(BEGIN + text).trace
    lines = [trace.site(one.stack.frames[0]).position.line if one.stack is not None else 0 for one in trace.changes]
    return [(line, one.start, one.stop) for line, one in zip(lines, trace.changes, strict=True)]


def test_a_write_of_numpy_is_on_its_line() -> None:
    """The bytes are those that differ, and the line is the one that was running."""
    assert changes("array[1] = 7\nz = y * 2") == [(3, 6, 8)]  # the upper bytes of a float
    assert changes("array[:] = 7\narray[2] = 8\nz = y * 2") == [(3, 2, 12), (4, 10, 12)]


@pytest.mark.parametrize("write", ["y.add_(1)", "y[1:].mul_(2)", "torch.exp(y, out=y)", "y.data.zero_()"])
def test_a_write_of_a_recorded_call_is_no_change(write: str) -> None:
    """It is known already who it was."""
    assert changes(f"{write}\nz = y * 2") == []


def test_a_write_of_what_was_there_is_no_change() -> None:
    """No byte differs."""
    assert changes("array[1] = 1\nz = y * 2") == []


def test_names_are_those_of_tensors_that_the_code_had_to_do_with() -> None:
    """A notebook has many others, and an array's write is something to do with."""
    names = {name.path for name in record_text(BEGIN + "array[1] = 7", idle=torch.ones(3)).trace.names}

    assert "y" in names
    assert not any("idle" in name for name in names)


def test_a_deep_stack_is_kept_in_part() -> None:
    """Recursion says nothing new after dozens of frames."""
    text = "def deeper(n):\n    return torch.ones(1) if n == 0 else deeper(n - 1)\ndeeper(200)"

    frames = record_text(text).trace.calls[-1].stack.frames
    assert 40 < len(frames) < 60

"""Our mode is taken off and put back by identity: the modes of others stay, each where it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from inplace.capture.patches.mode_stack import Standing, height, modes_below, put_on, take_off


class Mode(TorchFunctionMode):
    """Does nothing."""


class Through(Mode):
    """Passes calls on."""

    def __torch_function__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call what was called."""
        return function(*args, **(kwargs or {}))


def places(*modes: TorchFunctionMode) -> list[int | None]:
    """How many modes are below each."""
    return [modes_below(mode) for mode in modes]


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_the_others_stay(taken: int) -> None:
    """Whichever is taken off, those above it move down by one, and up again when it is put back."""
    modes = [Mode(), Mode(), Mode()]

    with modes[0], modes[1], modes[2]:
        first = height() - 3
        stood = take_off(modes[taken])
        assert stood == (first + taken, tuple(modes[taken + 1 :]))
        without = places(*modes)
        put_on(modes[taken], stood)
        again = places(*modes)

    left = [number for number in range(3) if number != taken]
    assert [without[number] for number in left] == [first, first + 1]
    assert without[taken] is None
    assert again == [first, first + 1, first + 2]


def test_a_mode_that_is_not_on_is_left_alone() -> None:
    """Nothing is taken off in its place."""
    with Mode() as on:
        assert take_off(Mode()) is None
        assert modes_below(on) == height() - 1


def test_a_block_with_a_device_stays_above() -> None:
    """It was pushed on top, and its end pops what is on top."""
    ours = Through()

    with ours:
        before = height()
        with torch.device("cpu"):
            stood = take_off(ours)
            assert stood is not None
            put_on(ours, stood)
            assert modes_below(ours) == before - 1
        assert (height(), modes_below(ours)) == (before, before - 1)


def test_a_default_device_stays_the_lowest() -> None:
    """It counts on that."""
    ours = Mode()

    with torch.device("cpu"):
        put_on(ours, Standing(0))
        try:
            assert modes_below(ours) == height() - 1
        finally:
            take_off(ours)

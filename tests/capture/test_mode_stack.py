"""Our mode is taken off and put back by identity: the modes of others stay, each where it was."""

from __future__ import annotations

import pytest
import torch
from torch.overrides import TorchFunctionMode

from inplace.capture.patches.mode_stack import height, modes_below, put_on, take_off


class Mode(TorchFunctionMode):
    """Does nothing."""


def places(*modes: TorchFunctionMode) -> list[int | None]:
    """How many modes are below each."""
    return [modes_below(mode) for mode in modes]


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_the_others_stay(taken: int) -> None:
    """Whichever is taken off, those above it move down by one, and up again when it is put back."""
    modes = [Mode(), Mode(), Mode()]

    with modes[0], modes[1], modes[2]:
        first = height() - 3
        assert take_off(modes[taken]) == first + taken
        without = places(*modes)
        put_on(modes[taken], first + taken)
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


def test_a_default_device_stays_the_lowest() -> None:
    """It counts on that."""
    ours = Mode()

    with torch.device("cpu"):
        put_on(ours, 0)
        try:
            assert modes_below(ours) == height() - 1
        finally:
            take_off(ours)

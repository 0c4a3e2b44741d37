"""The user's frames of a call, within a `with` block and without one."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import torch

import inplace
from inplace.capture.code.stacks import Stacks
from inplace.facts.model import Trace


def _double(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def _names(trace: Trace, step: int = -1) -> list[str]:
    """The functions of the user's that a call was made in, the innermost first."""
    return [trace.sites[frame.site].function for frame in trace.calls[step].stack.frames]


def in_a_block() -> Trace:
    """Records in a `with` block, with a function of the user's outside of it."""
    with inplace.record() as recording:
        _double(torch.ones(2))
    return recording.trace


def by_hand() -> Trace:
    """Records from one call to another."""
    with ExitStack() as stack:
        recording = stack.enter_context(inplace.record())
        _double(torch.ones(2))
    return recording.trace


def test_frames_outside_of_the_block_are_noted() -> None:
    """They are looked at once, and are part of each stack as ever."""
    found = _names(in_a_block())

    assert found[:3] == ["_double", "in_a_block", "test_frames_outside_of_the_block_are_noted"]


def test_a_block_notes_the_frames_that_are_noted_without_one() -> None:
    """From the block outwards the stacks are the same."""
    calls: list[Callable[[], Trace]] = [in_a_block, by_hand]
    block, hand = (_names(record()) for record in calls)

    assert block[2:] == hand[2:]


def test_what_runs_a_test_is_not_looked_at() -> None:
    """A stack ends with the test: the dozens of frames that run it are nobody's, and would be walked at each call."""
    found = [recorded() for recorded in (in_a_block, by_hand)]

    assert [_names(trace)[-1] for trace in found] == ["test_what_runs_a_test_is_not_looked_at"] * 2
    stacks = Stacks(lambda name: name == __file__)
    stacks.key_of(sys._getframe())
    assert {code.co_name for code in stacks._codes.values()} == {
        "test_what_runs_a_test_is_not_looked_at",
        "pytest_pyfunc_call",
    }


def test_the_line_in_the_block_is_the_one_that_runs() -> None:
    """The frame of the block itself moves on."""
    with inplace.record() as recording:
        one = torch.ones(2)
        two = one * 2
        two.add_(1)
    lines = [recording.trace.sites[call.stack.frames[0].site].position.line for call in recording.trace.calls]

    assert [line - lines[0] for line in lines] == [0, 1, 2]


def test_a_generator_is_continued_by_somebody_else() -> None:
    """Its block has other frames outside each time it goes on."""

    def recorded() -> Iterator[inplace.Recording]:
        with inplace.record() as recording:
            yield recording
            _double(torch.ones(2))

    def goes_on(generator: Iterator[inplace.Recording]) -> None:
        for _ in generator:
            pass

    generator = recorded()
    recording = next(generator)
    goes_on(generator)

    assert [name.rpartition(".")[2] for name in _names(recording.trace)][:3] == ["_double", "recorded", "goes_on"]


def test_no_frame_is_held_afterwards() -> None:
    """What the function with the block has in its variables dies when it returns."""

    def records() -> weakref.ref[torch.Tensor]:
        local = torch.ones(2)
        with inplace.record():
            _double(local)
        return weakref.ref(local)

    gc.disable()
    try:
        found = records()
        assert found() is None
    finally:
        gc.enable()


def test_no_frame_is_held_where_the_block_is_none() -> None:
    """A recording that somebody begins by hand, and forgets, keeps nothing of theirs alive."""
    recording = inplace.record()

    def begins() -> weakref.ref[torch.Tensor]:
        local = torch.ones(2)
        recording.__enter__()
        return weakref.ref(local)

    try:
        assert begins()() is None
    finally:
        recording.__exit__(*sys.exc_info())

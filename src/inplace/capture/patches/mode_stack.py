"""Where our mode stands among the function modes of this thread: the user's, and PyTorch's own (`torch.device`).

Each `with` block of a mode pops whatever is on top when it ends, so blocks that don't nest (a generator that holds one
open) or a mode pushed at the wrong place would take off somebody else's. Ours is taken off, and put back, by identity.
"""

from __future__ import annotations

from types import FrameType
from typing import NamedTuple

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._device import DeviceContext

from inplace.capture.code.tracebacks import is_our_code
from inplace.capture.patches.ledger import Patch

_depth = torch._C._len_torch_function_stack
_at = torch._C._get_function_stack_at
pop = torch._C._pop_torch_function_stack
push = torch._C._push_on_torch_function_stack


def height() -> int:
    """How many modes are on in this thread."""
    return int(_depth())


def modes_below(mode: TorchFunctionMode) -> int | None:
    """How many modes are below this one, None where it is not on."""
    for number in reversed(range(_depth())):
        if _at(number) is mode:
            return number
    return None


class Standing(NamedTuple):
    """Where a mode stood: how many were below it, and those above it."""

    below: int
    above: tuple[TorchFunctionMode, ...] = ()


def standing_of(mode: TorchFunctionMode) -> Standing | None:
    """Where a mode stands, None where it is not on."""
    place = modes_below(mode)
    return None if place is None else Standing(place, tuple(_at(number) for number in range(place + 1, _depth())))


def take_off(mode: TorchFunctionMode) -> Standing | None:
    """Take a mode off and leave the others; says where it stood, None where it was not on."""
    standing = standing_of(mode)
    if standing is not None:
        for _ in range(len(standing.above) + 1):
            pop()
        for other in standing.above:
            push(other)
    return standing


def put_on(mode: TorchFunctionMode, standing: Standing) -> None:
    """Put a mode on that is not, above as many as were below it, and leave the others.

    That of `torch.set_default_device` counts on being the lowest, and may have come since; that of a block
    `with torch.device(...)` was pushed on top, and is popped from there (`torch/csrc/Device.cpp`).
    """
    place = standing.below
    while place < _depth() and isinstance(_at(place), DeviceContext) and not _is_among(_at(place), standing.above):
        place += 1
    above = [_at(number) for number in range(place, _depth())]
    for _ in above:
        pop()
    for other in (mode, *above):
        push(other)


def _is_among(mode: TorchFunctionMode, others: tuple[TorchFunctionMode, ...]) -> bool:
    return any(mode is other for other in others)


def is_handed_on(frame: FrameType | None) -> bool:
    """Whether a call in `frame` is one that a mode of the user's handles, and is off the stack for."""
    while frame is not None:
        if frame.f_code.co_name == "__torch_function__" and not is_our_code(frame.f_code):
            return True
        frame = frame.f_back
    return False


class ModeOn(Patch):
    """Our mode among those of this thread."""

    def __init__(self, mode: TorchFunctionMode) -> None:
        self._mode = mode

    def _is_made(self) -> bool:
        return modes_below(self._mode) is not None

    def _make(self) -> None:
        self._mode.__enter__()

    def _undo(self) -> None:
        while take_off(self._mode) is not None:  # a backward puts it on once more
            pass

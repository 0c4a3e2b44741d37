"""Where our mode stands among the function modes of this thread: the user's, and PyTorch's own (`torch.device`).

Each `with` block of a mode pops whatever is on top when it ends, so blocks that don't nest (a generator that holds one
open) or a mode pushed at the wrong place would take off somebody else's. Ours is taken off, and put back, by identity.
"""

from __future__ import annotations

from types import FrameType

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


def take_off(mode: TorchFunctionMode) -> int | None:
    """Take a mode off and leave the others; says how many were below it, None where it was not on."""
    place = modes_below(mode)
    if place is not None:
        above = [_at(number) for number in range(place + 1, _depth())]
        for _ in range(len(above) + 1):
            pop()
        for other in above:
            push(other)
    return place


def put_on(mode: TorchFunctionMode, place: int) -> None:
    """Put a mode on that is not, above the `place` modes below it, and leave the others.

    That of `torch.set_default_device` counts on being the lowest.
    """
    while place < _depth() and isinstance(_at(place), DeviceContext):
        place += 1
    above = [_at(number) for number in range(place, _depth())]
    for _ in above:
        pop()
    for other in (mode, *above):
        push(other)


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

"""What a node saved, as handles that are read without unpacking anything.

NOTE [ Reading what a node saved ]
`node._saved_x` checks the version and runs the user's unpack hooks. `node._raw_saved_x` is a handle; its `data` is the
saved tensor itself, with its live version counter, read without either (`torch/csrc/autograd/python_variable.cpp`).
Where a hook packed the save, `data` is what the hook gave, and we only note that something was saved.

NOTE [ Handles that show nothing ]
Before PyTorch 2.10 a handle has neither `data` nor `unpack_hook`. There we read `node._saved_x` of nodes that were made
while we knew that no hook packs: during a recording, outside of the blocks of `saved_tensors_hooks`. It gives the very
tensor, or raises where that was overwritten since; the calls around the node tell which one it was then.
What other nodes have saved is not seen.
"""

from __future__ import annotations

import contextlib
import functools
import re
import threading
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

from inplace.capture.patches.ledger import Replace

SHOWN = hasattr(torch._C._autograd.SavedTensor, "data")
"""Whether the handles of this PyTorch show what was saved."""
NOT_SHOWN = (
    f"PyTorch {torch.__version__} shows what a node has saved only of nodes that were made while recording, and with "
    "no saved-tensor hooks on: what others have saved was not looked at."
)
RAW = "_raw_saved_"
"""What the attributes of nodes are called that have handles, in front of the name of the save."""
_NUMBERED = 1 << 62  # nodes with greater sequence numbers were given none
# "is at version 1; expected version 0": no other error of a node has two versions in it.
_OVERWRITTEN = re.compile(r"version (\d+)\D+version \d+")
_OF_SHAPE = re.compile(r"\[[\w.]+ \[([\d, ]*)\]\]")  # "[torch.FloatTensor [4, 4]]"
_READ = {"tensors": "saved_tensors"}  # how a save is read that is not called as its handle is: a custom function's


def saving_attributes(kind: type) -> tuple[str, ...]:
    """Where nodes of a type keep the handles of what they saved."""
    # What remembers the class of a custom function keeps the script's variables, to which it belongs, to the very end.
    if issubclass(kind, torch.autograd.function.BackwardCFunction):
        return _handles_of(kind)
    return _known_handles_of(kind)  # type: ignore[arg-type]  # a class is hashable


def _handles_of(kind: type) -> tuple[str, ...]:
    return tuple(name for name in dir(kind) if name.startswith(RAW))


_known_handles_of = lru_cache(4096)(_handles_of)


def name_of(attribute: str) -> str:
    """The name of a save, of the attribute of its handle."""
    return attribute.removeprefix(RAW)


def raw_saves(node: Any) -> list[tuple[str, Any]]:
    """The handles of what a node saved, by name; none of those that an earlier backward has released.

    No generator: an interrupt in one that is closed would be lost.
    """
    found = []
    for attribute in saving_attributes(type(node)):
        with contextlib.suppress(RuntimeError):
            found.append((name_of(attribute), handle(node, attribute)))
    return found


def is_packed(one: Any) -> bool:
    """Whether a hook has packed a save, or may have."""
    return getattr(one, "unpack_hook", None) is not None


def shown(one: Any) -> Any:
    """The saved tensor of a handle, or what a hook made of it; None where it was released, or there was none."""
    return getattr(one, "data", None)


def saved_tensors(node: Any) -> list[tuple[str, torch.Tensor]]:
    """The tensors that a node has saved and not lost, each with its name, but for those that a hook has packed."""
    found = []
    for name, handles in raw_saves(node):
        for one in handles if isinstance(handles, tuple | list) else (handles,):
            saved = _tensor_of(one)
            if saved is not None:
                found.append((name, saved))
    return found


def saved_tensor(node: Any, name: str) -> torch.Tensor | None:
    """The tensor that a node has saved under a name; None where it has none, has lost it, or a hook has packed it."""
    try:
        return _tensor_of(handle(node, RAW + name))
    except (RuntimeError, AttributeError):
        return None


def _tensor_of(one: Any) -> torch.Tensor | None:
    """The saved tensor of a handle that no hook has packed, if it has one."""
    saved = shown(one)
    return saved if not is_packed(one) and isinstance(saved, torch.Tensor) else None


def overwritten_version(error: BaseException) -> int | None:
    """The version now of the save that autograd refuses with this error; None where the error says something else."""
    said = _OVERWRITTEN.search(str(error)) if type(error) is RuntimeError else None
    return None if said is None else int(said[1])


def overwritten_shape(error: BaseException) -> tuple[int, ...] | None:
    """The shape that such an error tells of the save, in elements."""
    said = _OF_SHAPE.search(str(error))
    return None if said is None else tuple(map(int, filter(None, said[1].split(", "))))


# ------------------------------------------------------------ where handles show nothing


class _Read:
    """Stands in for a handle that shows nothing.

    Attributes:
        data: the saved tensor; None where there is none, or it can't be read.
        unpack_hook: not None where a hook has packed it, or may have.
        version: that of a save that was overwritten, now; None for others.
        shape: that of such a save, as the error tells it.
    """

    __slots__ = ("data", "shape", "unpack_hook", "version")

    def __init__(self, data: Any = None, unpack_hook: object = None, refused: BaseException | None = None) -> None:
        self.data, self.unpack_hook = data, unpack_hook
        self.version = None if refused is None else overwritten_version(refused)
        self.shape = None if refused is None else overwritten_shape(refused)


_PACKED = _Read(unpack_hook=True)


class Unpacked(threading.local):
    """The sequence numbers of the nodes of each thread that were made while no hook packed what they save."""

    def __init__(self) -> None:
        self._bounds: list[int] = []  # where a stretch begins, and where it ends, in turn; they never fall
        self._depth, self._is_followed = 0, False

    def begin(self) -> None:
        """A recording begins; hooks that are on already stay on until their block ends."""
        self._depth, self._is_followed = int(_are_hooks_on()), True
        self._turn(on=not self._depth)

    def end(self) -> None:
        """The recording has ended."""
        self._is_followed = False
        self._turn(on=False)

    def entered(self) -> None:
        """A block with hooks begins."""
        self._depth += 1
        self._turn(on=False)

    def left(self) -> None:
        """A block with hooks ends."""
        self._depth = max(self._depth - 1, 0)
        self._turn(on=self._is_followed and not self._depth)

    def _turn(self, *, on: bool) -> None:
        if len(self._bounds) % 2 != on:
            self._bounds.append(torch._C._autograd._get_sequence_nr())

    def __contains__(self, node: int) -> bool:
        return bisect_right(self._bounds, node) % 2 == 1 and 0 <= node < _NUMBERED


UNPACKED = Unpacked()
"""Those of this process, for a node may be met long after the recording that has seen it made."""


def follow_hooks(replace: Replace) -> None:
    """Follow the blocks of `saved_tensors_hooks` from now on, and take what is made outside of them for unpacked."""
    if not SHOWN:
        UNPACKED.begin()
        replace(torch._C._autograd, "_push_saved_tensors_default_hooks", functools.partial(_telling, UNPACKED.entered))
        replace(torch._C._autograd, "_pop_saved_tensors_default_hooks", functools.partial(_telling, UNPACKED.left))


def _telling(tell: Callable[[], None], theirs: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(theirs)
    def told(*args: Any) -> Any:
        found = theirs(*args)
        tell()
        return found

    return told


def _are_hooks_on() -> bool:
    """Whether hooks pack what nodes save from now on: then PyTorch refuses to forbid them."""
    autograd: Any = torch._C._autograd
    before = autograd._saved_tensors_hooks_get_disabled_error_message()
    try:
        autograd._saved_tensors_hooks_disable("")
    except RuntimeError:
        return True
    finally:
        if before is None:
            autograd._saved_tensors_hooks_enable()
        else:
            autograd._saved_tensors_hooks_disable(before)
    return False


def _read(node: Any, attribute: str) -> Any:
    """What stands in for the handle, or the handles, that a node has under some name."""
    raw = getattr(node, attribute)  # which raises where several were released
    several = type(raw) is tuple or type(raw) is list
    if int(node._sequence_nr()) not in UNPACKED:
        return [_PACKED] * len(raw) if several else _PACKED
    name = name_of(attribute)
    try:
        found = getattr(node, _READ.get(name, f"_saved_{name}"))
    except RuntimeError as refused:
        return _Read(refused=refused)
    return list(map(_Read, found)) if several else _Read(found)


handle: Callable[[Any, str], Any] = getattr if SHOWN else _read
"""The handle, or a list or tuple of them, that a node has under an attribute.

Raises:
    RuntimeError: where several were released.
"""

"""The trace of code that was not recorded, once an exception has ended it: its line, and what is alive of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from inplace.capture.code.at_failure import tensors_on_line
from inplace.capture.code.objects import message_of
from inplace.capture.record import Recorder
from inplace.facts.model import Trace

_RESIZING = "resiz"  # only a change of size leaves a tensor that must not be read


def autopsy(
    error: BaseException,
    namespace: Mapping[str, object],
    *,
    title: str,
    is_cell: Callable[[str], bool],
    label: Callable[[str], str | None],
) -> Trace:
    """What an exception tells that has ended code of the user's: a trace without a call.

    Args:
        error: the exception, with its traceback.
        namespace: the user's variables.
        title: what people are shown as the name of the code.
        is_cell: tells from a file's name whether it is the code that ended.
        label: the name to show for a file, None for its last part.
    """
    recorder = Recorder(title=title, is_cell=is_cell, namespace=namespace, label=label)
    with torch._C.DisableTorchFunction():
        if _RESIZING in message_of(error, recorder.is_user):
            tensors_on_line(error.__traceback__, recorder.is_user, lambda _, tensor: _spare(recorder, tensor))
    return recorder.stop(error)


def _spare(recorder: Recorder, tensor: torch.Tensor) -> None:
    if _is_broken(tensor):
        recorder.leave_alone(tensor)


def _is_broken(tensor: torch.Tensor) -> bool:
    """Whether a tensor says that it has more elements than its memory holds, as after a `resize_` that has failed."""
    try:
        return tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes()
    except (RuntimeError, NotImplementedError):  # it has no memory
        return False

"""A callback for the Trainer of Hugging Face's transformers, which is imported when one is asked for.

NOTE [ A trainer tells no callback of an exception ]
A step goes from `on_step_begin` to `on_step_end`. For the steps that raise, the trainer's `training_step` (forward and
backward) is another one meanwhile, which notes what it raises and lets it through. What the optimizer's step raises is
not noted; the recording ends with the next step, or with the callback.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Iterator
from importlib import import_module
from types import FrameType
from typing import Any

from inplace.shells.keep import Keep
from inplace.shells.training.steps import FIRST, Steps, callback_of

_STEP = "training_step"


def hugging_face_callback(
    *, first: int = FIRST, raising: bool = True, strict: bool = False, light: bool = False, keep: Keep = False
) -> Any:
    """A `TrainerCallback` for the `Trainer` of transformers: records the first steps, and each that raises.

    A step goes to the end of the optimizer's, over all its batches where gradients are accumulated.
    What is found is printed on standard error; the recordings are kept in its attribute `steps.recordings`.

    Args:
        first: how many steps are looked at.
        raising: whether later ones are recorded too, to be explained where they raise.
        strict: whether a write that would destroy what backward needs is stopped.
        light: whether to note versions, saves and writes only, which costs least.
        keep: whether the whole training is one recording that lets go of what can't matter any more, or the megabytes
            of its windows (64 where it is only switched on); `first` and `raising` then say nothing.

    Raises:
        ImportError: if transformers is not installed.
        ValueError: if `keep` is no size of a window.
    """
    base = import_module("transformers").TrainerCallback
    return callback_of(_Hooks, base, Steps(first=first, raising=raising, strict=strict, light=light, keep=keep))


class _Hooks:
    """What the trainer calls."""

    steps: Steps
    _trainer: weakref.ref[Any] | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Have the trainer's steps note what they raise."""
        self.steps.close()  # of a training before, whose end nobody told
        trainer = _trainer_at(sys._getframe(1))
        if trainer is not None and _STEP not in vars(trainer):
            vars(trainer)[_STEP] = self._noting(getattr(trainer, _STEP))
            self._trainer = weakref.ref(trainer)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A step begins."""
        self.steps.begin(_users(sys._getframe(1)))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """It has ended."""
        self.steps.end()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Nothing is left on."""
        self.steps.close()
        trainer = None if self._trainer is None else self._trainer()
        if trainer is not None:
            vars(trainer).pop(_STEP, None)

    def _noting(self, theirs: Any) -> Any:
        @functools.wraps(theirs)
        def training_step(*args: Any, **kwargs: Any) -> Any:
            try:
                return theirs(*args, **kwargs)
            except BaseException as error:
                self.steps.end(error)
                raise

        return training_step


def _trainer_at(frame: FrameType | None) -> Any:
    """The trainer that calls its callbacks from a frame; None where it can't be told."""
    from inplace.capture.code.names import borrow_locals

    found: list[Any] = []
    while frame is not None and not found:
        borrow_locals(frame, lambda its: found.extend(_trainers(its.get("self"))))
        frame = frame.f_back
    return found[0] if found else None


def _trainers(value: Any) -> Iterator[Any]:
    if hasattr(value, _STEP) and hasattr(value, "callback_handler"):
        yield value


def _users(frame: FrameType) -> FrameType:
    """The innermost frame that is the user's own; the given one where there is none."""
    from inplace.capture.code.stacks import USER, role_of_file

    found: FrameType | None = frame
    while found is not None and role_of_file(found.f_code.co_filename) != USER:
        found = found.f_back
    return frame if found is None else found

"""A callback for Lightning's Trainer. Lightning is imported when one is asked for."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from importlib.util import find_spec
from types import FunctionType
from typing import Any

from inplace.shells.keep import Keep
from inplace.shells.training.steps import FIRST, Steps, callback_of

_HOMES = ("lightning.pytorch", "pytorch_lightning")


def lightning_callback(
    *, first: int = FIRST, raising: bool = True, strict: bool = False, light: bool = False, keep: Keep = False
) -> Any:
    """A callback for `Trainer(callbacks=[...])` of Lightning: records the first training steps, and each that raises.

    A step goes from `on_train_batch_start` to `on_train_batch_end`: `training_step`, the backward and the optimizer.
    What is found is printed on standard error; the recordings are kept in its attribute `steps.recordings`.

    Args:
        first: how many steps are looked at.
        raising: whether later ones are recorded too, to be explained where they raise.
        strict: whether a write that would destroy what backward needs is stopped.
        light: whether to note versions, saves and writes only, which costs least.
        keep: whether the whole training is one recording that lets go of what can't matter any more, or the megabytes
            of its windows (64 where it is only switched on); `first` and `raising` then say nothing.

    Raises:
        ImportError: if neither lightning nor pytorch_lightning is installed.
        ValueError: if `keep` is no size of a window.
    """
    return callback_of(
        _Hooks, _home().Callback, Steps(first=first, raising=raising, strict=strict, light=light, keep=keep)
    )


def _home() -> Any:
    """The package whose trainer is in use: the one that is imported, or can be."""
    loaded = [name for name in _HOMES if name in sys.modules]
    found = loaded or [name for name in _HOMES if find_spec(name.partition(".")[0]) is not None]
    if not found:
        raise ImportError("a callback for Lightning needs lightning or pytorch_lightning: pip install lightning")
    return import_module(found[0])


class _Hooks:
    """What Lightning calls."""

    steps: Steps

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """A step begins."""
        step = inspect.unwrap(type(pl_module).training_step)
        self.steps.begin(step if isinstance(step, FunctionType) else sys._getframe(1))

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """It has ended."""
        self.steps.end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Something has raised, within a step or elsewhere."""
        self.steps.end(exception)

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Nothing is left on."""
        self.steps.close()

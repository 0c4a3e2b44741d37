"""Whom the mode tells of calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from inplace.capture.bytes.samples import Samples
from inplace.capture.calls.known import Known
from inplace.facts.model import Function, StorageId


class Listener:
    """What the recorder does around calls; see listening.py.

    Attributes:
        watched: the exported storages whose contents are compared, where there are any.
        asleep: those that are compared around the calls that take them only, where there are any.
        external: the storages met lately whose memory others own, where there are any.
        samples: what reads a few bytes of what nodes may have saved; None where nobody does.
        strict: whether a write that destroys a save is to be stopped.
        names_modules: whether calls are asked in whose forward they are made.
    """

    watched: Mapping[Any, Any]
    asleep: Mapping[Any, Any]
    external: list[Any]
    samples: Samples | None
    strict = False
    names_modules = True

    def check(self, function: Function, step: int, tensors: list[torch.Tensor]) -> None:
        """A call is about to run, in strict mode.

        Raises:
            OverwriteError: if it would destroy a save.
        """
        raise NotImplementedError

    def resume(self) -> None:
        """A backward begins: go on recording where an exception has stopped it."""
        raise NotImplementedError

    def before(self, known: Known, args: tuple[Any, ...], kwargs: Mapping[str, Any], stack: int) -> None:
        """A call that is no plain operation is about to run."""
        raise NotImplementedError

    def after(self, known: Known, tensors: list[torch.Tensor], result: Any) -> None:
        """A call that is no plain operation has returned."""
        raise NotImplementedError

    def wrote(self, tensors: list[torch.Tensor]) -> None:
        """A collective has returned."""
        raise NotImplementedError

    def raised(self, known: Known, tensors: list[torch.Tensor], step: int) -> None:
        """A call has raised."""
        raise NotImplementedError

    def full(self) -> None:
        """So many calls were noted that those which are over may be let go of."""
        raise NotImplementedError

    def look(self) -> None:
        """Compare the contents of exported storages before a call."""
        raise NotImplementedError

    def settle(self) -> None:
        """Take the contents of exported storages after a call as known."""
        raise NotImplementedError

    def look_at(self, tensors: list[torch.Tensor]) -> None:
        """Compare the contents of exported storages that are asleep before a call that some tensors go into."""
        raise NotImplementedError

    def settle_at(self, tensors: list[torch.Tensor], *, changed: bool) -> None:
        """Take the contents of these storages as known after that call, which may have changed its arguments or not."""
        raise NotImplementedError

    def look_over(self, some: list[Any]) -> None:
        """As `look_at`, for some of `asleep`."""
        raise NotImplementedError

    def settle_over(self, some: list[Any]) -> None:
        """As `settle_at`, for some that `look_over` was told of; the call has changed none of its arguments."""
        raise NotImplementedError

    def written_unseen(self, storage: StorageId | None) -> None:
        """The call noted last has written bytes that tensors with another counter reach; None for any storage."""
        raise NotImplementedError

    def switched_off(self, frame: Any) -> None:
        """Gradient mode is about to be switched off."""
        raise NotImplementedError

    def module_of(self, frame: Any) -> int:
        """The id of the module whose `_call_impl` runs in `frame`; -1 if it can't be told."""
        raise NotImplementedError

    def leave_off(self, why: str) -> None:
        """Record no more, for a reason in a sentence, and look at no tensor again."""
        raise NotImplementedError

    def fault(self, error: BaseException) -> None:
        """Our own code failed, or was interrupted: stop, and say so. An interrupt is to be raised again."""
        raise NotImplementedError

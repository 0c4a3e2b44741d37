"""What the mode tells of calls, and whom it tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from inplace.capture.calls.functions import Facts, drops
from inplace.facts.model import Function, Kind


class Known:
    """What one recording knows of a function, and whether it can be passed without a record.

    Attributes:
        id: its number in the recording, -1 before it is given one.
        writing: the same for what it is when a flag among its arguments makes it change one of them.
        short: whether what it gives out may be a new tensor.
        brief: whether its calls may be noted in short.
        last: for each number of nodes that a call may make, how often the last of them was that of its result, of the
            times that we looked; -1 where it once was not.
    """

    __slots__ = (
        "aliases",
        "backward",
        "brief",
        "drops",
        "facts",
        "fresh",
        "id",
        "kind",
        "label",
        "last",
        "open",
        "own",
        "passed",
        "plain",
        "pure",
        "reread",
        "short",
        "slot",
        "varies",
        "writing",
    )

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.kind, self.label = facts.function.kind, facts.function.label
        self.passed, self.pure, self.varies = facts.is_question, facts.is_pure, facts.varies
        self.fresh, self.open, self.aliases = facts.is_fresh, facts.is_open, facts.aliases
        self.drops = drops(self.label)
        self.short = self.fresh or self.open
        self.brief = self.pure or self.open
        self.plain = self.kind is Kind.OP
        self.backward, self.own = self.kind is Kind.BACKWARD, self.label == "data"
        self.reread = self.kind is Kind.SETTER or self.label == "requires_grad_"
        self.slot = self.label == "grad" and self.kind in (Kind.GETTER, Kind.SETTER)
        self.id = self.writing = -1
        self.last: dict[int, int] = {}


class Listener:
    """What the recorder does around calls; see `record.py`.

    Attributes:
        watched: the exported storages whose contents are compared, where there are any.
        external: the storages met lately whose memory others own, where there are any.
        strict: whether a write that destroys a save is to be stopped.
    """

    watched: Mapping[Any, Any]
    external: list[Any]
    strict = False

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

    def raised(self, known: Known, tensors: list[torch.Tensor], step: int) -> None:
        """A call has raised."""
        raise NotImplementedError

    def look(self) -> None:
        """Compare the contents of exported storages before a call."""
        raise NotImplementedError

    def settle(self) -> None:
        """Take the contents of exported storages after a call as known."""
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

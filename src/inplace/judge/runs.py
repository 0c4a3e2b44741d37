"""What comes of replays, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inplace.judge.about import About


@dataclass(frozen=True, slots=True)
class ReplayAnswer:
    """What came of one replay.

    Attributes:
        raised: type and message of the exception that ended it.
        refused: what it did that a replay may not do.
        findings: what the analysis found in it.
        entered: how many backwards were begun.
        let: what was refused and done all the same, `updates` of leaves or `others`; None where nothing is let.
        trained: the names of leaves that a backward reached.
        reached_in_all: how many such leaves there are.
        steps: how many steps optimizers have made.
        reached: values, what had been printed, and the random state, when the backward that matters began.
        values: the tensors that the code's variables reach at the end, by name.
        grads: the gradients of those that are leaves.
        other_values: leaves, parameters and buffers without a name, in the order they were met.
        other_grads: the gradients of these.
        given: what `autograd.grad` gave out.
        roots: what backwards were called on.
    """

    raised: tuple[str, str] | None
    refused: str | None
    findings: tuple[About, ...]
    entered: int
    let: Sequence[str] | None
    trained: Sequence[str]
    reached_in_all: int
    steps: int
    reached: Mapping[str, Any] | None
    values: Mapping[str, Any]
    grads: Mapping[str, Any]
    other_values: Sequence[Any]
    other_grads: Sequence[Any]
    given: Sequence[Any]
    roots: Sequence[Any]

    @property
    def is_updated(self) -> bool:
        """Whether updates of leaves were let, and nothing else."""
        return self.is_whole and bool(self.let)

    @property
    def is_whole(self) -> bool:
        """Whether all of it is what the code computes where nothing is refused, gradients too."""
        return self.let is not None and self.raised is None and "others" not in self.let


Answer = ReplayAnswer | str
"""What came of a replay, or why there is none."""


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs that a rewrite is judged by.

    Attributes:
        answer: with the rewrite.
        twin: of the code as it is, in which every save is a copy.
        values: of the code as it is, with what was refused done all the same; None where it wasn't needed.
        plain: of the code as it is, None where it wasn't needed.
    """

    answer: Answer
    twin: Answer
    values: Answer | None = None
    plain: Answer | None = None

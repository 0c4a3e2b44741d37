"""refused-call: what ended the code, where no other kind has more to say of it: its line, and what was on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inplace.checks.finding import Finding
from inplace.facts.model import TensorId, TensorState
from inplace.reading.trace.index import Index

# What a call of PyTorch's may raise for what it was given.
_TYPES = frozenset({"RuntimeError", "IndexError", "ValueError", "TypeError", "NotImplementedError", "AttributeError"})
_MOST = 6  # tensors told of one line


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedCall(Finding):
    """The exception that ended the code: `what` it is among PyTorch's texts, empty for one that we don't know.

    `there` are the tensors that its line mentions, by name and state.
    """

    kind = "refused-call"
    yields = True
    what: str
    type: str
    message: str
    there: tuple[tuple[str, TensorState], ...]

    def tensors(self) -> tuple[TensorId, ...]:
        """The tensors of the line."""
        return tuple(state.tensor for _, state in self.there)


def refused_calls(index: Index) -> Iterator[Finding]:
    """Yield the exception that ended the code, where it is PyTorch's or tensors were on its line."""
    ending = index.ending
    if ending is None or ending.is_own or not (ending.what or (ending.there and ending.failure.type in _TYPES)):
        return
    there = {state.tensor: (name, state) for name, state in reversed(ending.there)}
    yield RefusedCall(
        severity="error" if ending.what else "info",
        culprits=ending.places,
        victim=None,
        names=index.names_of_ending(),
        what=ending.what,
        type=ending.failure.type,
        message=ending.failure.message.partition("\n")[0],
        there=tuple(reversed(there.values()))[:_MOST],
        at=len(index.trace.calls),
    )

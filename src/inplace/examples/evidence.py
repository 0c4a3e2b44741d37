"""What a check of a claim finds, and the questions that the checks ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from inplace.examples.example import Verdict

LEAF = "leaf Variable that requires grad"
MODIFIED = "modified by an inplace operation"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The verdict that follows from what was observed just now, and the observation."""

    verdict: Verdict
    text: str


def judged(holds: bool, text: str, otherwise: Verdict = "wrong") -> Evidence:  # noqa: FBT001
    """A claim that is right if what was observed agrees with it."""
    return Evidence("right" if holds else otherwise, text)


def error_of(call: Callable[[], object]) -> str:
    """The type and first sentence of what a call raises, or nothing."""
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {str(error).split(':')[0].splitlines()[0].rstrip('.')}"
    return ""


def told(error: str) -> str:
    """An error as evidence."""
    return f"raises {error}" if error else "raises nothing"


def leaf(*values: float) -> torch.Tensor:
    """A leaf that requires a gradient."""
    return torch.tensor(values, requires_grad=True)


def backward(result: torch.Tensor) -> None:
    """Run backward from the sum of a result."""
    torch.autograd.backward(result.sum())


def new_bytes(result: torch.Tensor, source: torch.Tensor) -> int:
    """What a call has allocated for its result."""
    if result.untyped_storage().data_ptr() == source.untyped_storage().data_ptr():
        return 0
    return result.untyped_storage().nbytes()

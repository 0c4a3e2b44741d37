"""What one worked example is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["right", "imprecise", "wrong", "measured"]


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence that readers have heard about in-place operations, what PyTorch really does, and code that shows it.

    In `code`, the comment after a `print` is what it prints, and `# raises` marks the line that ends in an error.
    """

    id: str
    topic: str
    title: str
    claim: str
    verdict: Verdict
    lesson: str
    code: str

"""What one worked example is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["right", "imprecise", "wrong", "measured"]
Source: TypeAlias = Literal["guide", "lesson", "page", "article", "docs", "forums"]

SOURCES: dict[Source, str] = {
    "guide": "a how-to guide",
    "lesson": "a lesson card",
    "page": "a short page with two examples",
    "article": "an advice article",
    "docs": "documentation",
    "forums": "forums and code reviews",
}


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence that readers have heard about in-place operations, what PyTorch really does, and code that shows it.

    In `code`, the comment after a `print` is what it prints, and `# raises` marks the line that ends in an error.

    Attributes:
        id: names the row in the widget, the magics, the notebooks and the site.
        said_by: what kind of source the sentence was found in.
        topic: the group that it belongs to.
        claim: the sentence.
        verdict: what running it shows; `measured` where it depends on the machine.
        limit: where the sentence holds, or what it leaves unsaid; empty where there is nothing to add.
        lesson: what to know instead, in three sentences at most.
        words: other words that it is looked for by.
    """

    id: str
    said_by: tuple[Source, ...]
    topic: str
    title: str
    claim: str
    verdict: Verdict
    lesson: str
    code: str
    limit: str = ""
    words: tuple[str, ...] = ()

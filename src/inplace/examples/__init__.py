"""The worked examples: what is often said of in-place operations, and what PyTorch does."""

from __future__ import annotations

from inplace.examples.basics import BASICS
from inplace.examples.example import SOURCES, Example, Source, Verdict
from inplace.examples.found import find_in
from inplace.examples.graph import GRAPH
from inplace.examples.heard import HEARD
from inplace.examples.leaves import LEAVES
from inplace.examples.lessons import LESSONS
from inplace.examples.memory import MEMORY
from inplace.examples.sharing import SHARING

__all__ = ["ALL", "SOURCES", "Example", "Source", "Verdict", "find"]

_GROUPS = (BASICS, LEAVES, SHARING, GRAPH, MEMORY, HEARD, LESSONS)
ALL: tuple[Example, ...] = tuple(sorted((each for group in _GROUPS for each in group), key=lambda each: each.id))


def find(wanted: str) -> tuple[Example, ...]:
    """The examples for an id, a topic, a word, the name of a function, or the text of an error. Case does not matter.

    The first of these ways that finds any is taken, in this order. An error text may be pasted whole or in part.
    """
    return find_in(ALL, wanted)

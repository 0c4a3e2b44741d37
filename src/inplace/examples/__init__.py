"""The worked examples: what is often said of in-place operations, and what PyTorch does."""

from __future__ import annotations

import re

from inplace.examples.basics import BASICS
from inplace.examples.example import Example, Verdict
from inplace.examples.graph import GRAPH
from inplace.examples.leaves import LEAVES
from inplace.examples.memory import MEMORY
from inplace.examples.sharing import SHARING

__all__ = ["ALL", "Example", "Verdict", "find"]

ALL: tuple[Example, ...] = tuple(sorted((*BASICS, *LEAVES, *SHARING, *GRAPH, *MEMORY), key=lambda example: example.id))


def find(word: str) -> tuple[Example, ...]:
    """The examples with this id or topic, else those with this word in their title. Case does not matter."""
    wanted = word.strip().lower()
    for kind in (_is_id, _is_topic, _in_title):
        found = tuple(example for example in ALL if kind(example, wanted))
        if found:
            return found
    return ()


def _is_id(example: Example, word: str) -> bool:
    return example.id.lower() == word


def _is_topic(example: Example, word: str) -> bool:
    return example.topic == word


def _in_title(example: Example, word: str) -> bool:
    return word in re.findall(r"\w+", example.title.lower())

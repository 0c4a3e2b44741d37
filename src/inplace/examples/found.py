"""Looking for a worked example by what a reader has in mind: an id, a topic, a word, a function or an error."""

from __future__ import annotations

import re
from collections.abc import Iterable

from inplace.examples.example import Example

_WORDS_OF_AN_ERROR = 3
"""An error text is looked for by this many words that follow each other, at least."""


def find_in(examples: Iterable[Example], wanted: str) -> tuple[Example, ...]:
    """The examples that the first of the ways below finds, in order."""
    text = " ".join(wanted.lower().split())
    if not text:
        return ()
    every = tuple(examples)
    ways = (_has_id, _has_topic, _has_in_title, _has_word, _calls, _raises)
    return next((found for way in ways if (found := tuple(each for each in every if way(each, text)))), ())


def _has_id(example: Example, text: str) -> bool:
    return example.id.lower() == text


def _has_topic(example: Example, text: str) -> bool:
    return example.topic == text


def _has_in_title(example: Example, text: str) -> bool:
    return text in re.findall(r"\w+", example.title.lower())


def _has_word(example: Example, text: str) -> bool:
    return text in (word.lower() for word in example.words)


def _calls(example: Example, text: str) -> bool:
    """Whether the code calls a function of this name, with or without what stands before its last dot."""
    name = text.removesuffix("()").rpartition(".")[2]
    return name in re.findall(r"(\w+)\(", example.code.lower())


def _raises(example: Example, text: str) -> bool:
    """Whether an error text, or a part of one, is what the code of the example raises."""
    raised = " ".join(" ".join(re.findall(r"# raises (.*)", example.code)).lower().rstrip(".").split())
    told = raised.partition(": ")[2]
    if not told:
        return False
    return told in text or (len(text.split()) >= _WORDS_OF_AN_ERROR and text.rstrip(".") in raised)

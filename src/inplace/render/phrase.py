"""Sentences with code in them: inside the package code stands in backticks, outside a sentence is plain or in runs."""

from __future__ import annotations

Runs = tuple[str, ...]
"""A sentence in pieces: prose and code by turns, beginning with prose (which may be empty)."""

# Stands for a backtick of the user's own until the sentence is told (a character of Unicode's private use area).
_THEIRS = "\ue0c6"


def code(text: str) -> str:
    """A piece of code, to be put into a sentence."""
    return f"`{text.replace('`', _THEIRS)}`" if text else ""


def plain(sentence: str) -> str:
    """A sentence without marks."""
    return sentence.replace("`", "").replace(_THEIRS, "`")


def runs(sentence: str) -> Runs:
    """A sentence in pieces of prose and code by turns; a last piece of empty prose is left out."""
    found = [part.replace(_THEIRS, "`") for part in sentence.split("`")]
    return tuple(found if found[-1] else found[:-1])

"""Sentences with code in them: inside the package code stands in backticks, outside a sentence is plain or in runs."""

from __future__ import annotations

import textwrap

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


def lines(sentence: Runs, width: int) -> list[Runs]:
    """A sentence broken into lines of at most `width` characters, at spaces; each line is in pieces again."""
    pieces = [" ".join(f"|{piece}|".split())[1:-1] for piece in sentence]
    kinds = [odd % 2 for odd, piece in enumerate(pieces) for _ in piece]
    text = "".join(pieces)
    found: list[Runs] = []
    start = 0
    for line in textwrap.wrap(text, width, break_on_hyphens=False):
        start = text.index(line, start)
        told = [""]
        for kind, letter in zip(kinds[start : start + len(line)], line, strict=True):
            if (len(told) - 1) % 2 != kind:
                told.append("")
            told[-1] += letter
        found.append(tuple(told))
        start += len(line)
    return found

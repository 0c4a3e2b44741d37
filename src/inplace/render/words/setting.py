"""Text in lines and columns: how wide it is, where it breaks, and what of it is made visible."""

from __future__ import annotations

import textwrap

from wcwidth import wcwidth

MARKS = {"error": "✗", "warning": "!", "info": "·"}
"""What stands before a finding, by its severity."""
WIDEST = 110  # columns of a source line that are shown
WIDTH = 88  # columns that prose is wrapped to


def safe(text: str) -> str:
    """Text with control characters made visible, so that names and source can't drive a terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else repr(letter)[1:-1] for letter in text)


def columns(text: str) -> int:
    """How many columns of a terminal a text takes; a control character takes none."""
    return sum(max(wcwidth(letter), 0) for letter in text)


def wrapped(lead: str, text: str, width: int, paint: tuple[str, str] = ("", "")) -> list[str]:
    """A text in lines of at most `width` columns, the first of which begins with `lead`."""
    indent = " " * (2 if len(lead) > width // 3 else len(lead))
    lines = textwrap.wrap(text, width, initial_indent=lead, subsequent_indent=indent, break_on_hyphens=False)
    return [f"{paint[0]}{line}{paint[1]}" for line in lines] or [lead.rstrip()]

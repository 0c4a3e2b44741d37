"""Lines of a source text."""

from __future__ import annotations


def lines_of(text: str) -> tuple[str, ...]:
    """The lines as Python counts them, without their ends; `str.splitlines` also ends one at a form feed."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return tuple(lines if lines[-1] else lines[:-1])
